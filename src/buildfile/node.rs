//! A YAML document as a flat tree: every node with its place, aliases as references.
//!
//! Aliases are never expanded here, so that a small file cannot become a large tree.

use std::ops::Range;

/// The number of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeId(pub(super) u32);

#[derive(Debug)]
pub(super) struct Node {
    /// The bytes of the node. Of a block collection: from its first key or dash.
    pub(super) bytes: Range<usize>,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar {
        /// As written, without quotes.
        text: String,
        /// Neither quoted nor a block: `null` and `~` mean nothing, `<<` merges.
        plain: bool,
    },
    Sequence(Vec<NodeId>),
    /// Keys and values in the file's order.
    Mapping(Vec<(NodeId, NodeId)>),
    Alias(NodeId),
}

#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() as u32 - 1)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }

    /// The node itself, an alias included.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// What the node stands for: an alias is followed. Aliases of aliases do not exist in YAML.
    pub(super) fn content(&self, id: NodeId) -> &Content {
        match &self.node(id).content {
            Content::Alias(target) => &self.node(*target).content,
            content => content,
        }
    }

    /// True for an absent value, `~` and `null`: YAML's nothing.
    pub(super) fn is_nothing(&self, id: NodeId) -> bool {
        matches!(self.content(id), Content::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}
