//! Plain files for `replay`.
