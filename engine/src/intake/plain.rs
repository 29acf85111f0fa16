//! Plain files: rows merged by their own times, as if one log of each plane had brought them.
