//! What a client reads that has to be turned away.

/// The last words to a client, in the protocol of the service that it asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// What a client may ask before it says what it wants, byte for byte, and the answer to it.
    /// Where there are any, the client speaks first. None of them begins with another.
    pub questions: Vec<(Vec<u8>, Vec<u8>)>,
    /// Said before the connection is closed. Empty: nothing.
    pub words: Vec<u8>,
}

impl Refusal {
    /// For a client that reads the words whatever it said, and if it said nothing.
    #[must_use]
    pub fn of(words: impl Into<Vec<u8>>) -> Self {
        Self { questions: Vec::new(), words: words.into() }
    }
}
