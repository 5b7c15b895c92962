//! What can be told of a file even when it has errors: the services and where their code is.

use super::diagnostic::Span;

/// One service as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    pub name: String,
    /// Empty when the service has no type.
    pub type_name: String,
    /// `None` when the file gives none, or one that was refused.
    pub approot: Option<ApprootText>,
    /// `None` when the file gives no number, or one that was refused.
    pub instances: Option<InstancesText>,
}

/// A number of instances and its place, for checks that need the service type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstancesText {
    pub number: u32,
    pub span: Span,
}

/// An approot and its place, for checks that need the tree itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprootText {
    /// Relative, without `.` and `..`; `.` for the whole tree.
    pub path: String,
    pub span: Span,
}
