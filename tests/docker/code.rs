//! Builds and instances of code services.
