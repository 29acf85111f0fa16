//! The verb as it is called.
