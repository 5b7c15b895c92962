//! The stream of an `exec`, after its HTTP connection was upgraded.
//!
//! ```text
//! kind (1 byte) | length (4 bytes, big endian) | payload
//! ```
//! Payloads are bytes as they are: nothing is escaped, encoded or cut at lines.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio_util::codec::{Decoder, Encoder};

/// The value of the `Upgrade` header.
pub const PROTOCOL: &str = "dotcloud-exec";
/// Longer payloads are sent as several frames, longer ones received are an error.
const LONGEST: usize = 1 << 20;
const HEAD: usize = 5;

/// `POST I/exec`: what to run. Without a command, a shell or the data service's client.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecRequest {
    #[serde(default)]
    pub command: Vec<String>,
    /// A terminal of this size; without it, three separate streams.
    #[serde(default)]
    pub tty: Option<Size>,
    /// Whether the command's input is connected.
    #[serde(default)]
    pub stdin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    pub rows: u16,
    pub cols: u16,
}

/// One message of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// To the command; an empty one closes its input.
    Stdin(Bytes),
    Stdout(Bytes),
    Stderr(Bytes),
    Resize(Size),
    /// The command ended with this code. The last frame.
    Exit(i32),
    /// The command could not be run or was lost, in words. The last frame.
    Failed(String),
}

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("unknown frame kind {0}")]
    Kind(u8),
    #[error("a frame of {0} bytes is too long")]
    Length(usize),
    #[error("a frame of kind {0} has a payload of the wrong size")]
    Payload(u8),
    #[error("the stream broke")]
    Io(#[from] std::io::Error),
}

/// Frames from and to bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameCodec;

impl Encoder<Frame> for FrameCodec {
    type Error = FrameError;

    fn encode(&mut self, frame: Frame, to: &mut BytesMut) -> Result<(), FrameError> {
        match frame {
            Frame::Stdin(bytes) if bytes.is_empty() => put(to, 0, &[]),
            Frame::Stdin(bytes) => bytes.chunks(LONGEST).for_each(|part| put(to, 0, part)),
            Frame::Stdout(bytes) => bytes.chunks(LONGEST).for_each(|part| put(to, 1, part)),
            Frame::Stderr(bytes) => bytes.chunks(LONGEST).for_each(|part| put(to, 2, part)),
            Frame::Resize(Size { rows, cols }) => {
                let ([a, b], [c, d]) = (rows.to_be_bytes(), cols.to_be_bytes());
                put(to, 3, &[a, b, c, d]);
            }
            Frame::Exit(code) => put(to, 4, &code.to_be_bytes()),
            Frame::Failed(why) => put(to, 5, &why.as_bytes()[..why.len().min(LONGEST)]),
        }
        Ok(())
    }
}

fn put(to: &mut BytesMut, kind: u8, payload: &[u8]) {
    to.reserve(HEAD + payload.len());
    to.put_u8(kind);
    // At most LONGEST, which fits.
    to.put_u32(payload.len() as u32);
    to.put_slice(payload);
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = FrameError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some((&[kind, a, b, c, d], _)) = from.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > LONGEST {
            return Err(FrameError::Length(length));
        }
        if from.len() < HEAD + length {
            return Ok(None);
        }
        from.advance(HEAD);
        frame(kind, from.split_to(length).freeze()).map(Some)
    }
}

fn frame(kind: u8, payload: Bytes) -> Result<Frame, FrameError> {
    let wrong = || FrameError::Payload(kind);
    Ok(match kind {
        0 => Frame::Stdin(payload),
        1 => Frame::Stdout(payload),
        2 => Frame::Stderr(payload),
        3 => {
            let [a, b, c, d] = payload.as_ref().try_into().map_err(|_| wrong())?;
            Frame::Resize(Size { rows: u16::from_be_bytes([a, b]), cols: u16::from_be_bytes([c, d]) })
        }
        4 => Frame::Exit(i32::from_be_bytes(payload.as_ref().try_into().map_err(|_| wrong())?)),
        5 => Frame::Failed(String::from_utf8_lossy(&payload).into_owned()),
        other => return Err(FrameError::Kind(other)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(frames: &[Frame], step: usize) -> Vec<Frame> {
        let mut wire = BytesMut::new();
        for frame in frames {
            FrameCodec.encode(frame.clone(), &mut wire).unwrap();
        }
        let (mut arrived, mut read) = (BytesMut::new(), Vec::new());
        for part in wire.chunks(step) {
            arrived.extend_from_slice(part);
            while let Some(frame) = FrameCodec.decode(&mut arrived).unwrap() {
                read.push(frame);
            }
        }
        assert!(arrived.is_empty(), "{} bytes are left over", arrived.len());
        read
    }

    #[test]
    fn frames_survive_any_cutting_of_the_stream() {
        let every_byte: Bytes = (0..=255u8).collect();
        let frames = [
            Frame::Stdin(every_byte.clone()),
            Frame::Stdin(Bytes::new()),
            Frame::Stdout(every_byte.clone()),
            Frame::Stderr(every_byte),
            Frame::Resize(Size { rows: 24, cols: 300 }),
            Frame::Exit(-1),
            Frame::Failed("no such instance".to_owned()),
        ];
        for step in [1, 3, 7, 10_000] {
            assert_eq!(round_trip(&frames, step), frames, "cut every {step} bytes");
        }
    }

    #[test]
    fn long_output_is_split_and_hostile_lengths_are_refused() {
        let long = Bytes::from(vec![7; LONGEST + 1]);
        let parts = round_trip(&[Frame::Stdout(long.clone())], 1 << 16);
        assert_eq!(parts.len(), 2);
        let mut hostile = BytesMut::from(&[1, 255, 255, 255, 255][..]);
        assert!(matches!(FrameCodec.decode(&mut hostile), Err(FrameError::Length(_))));
        assert!(matches!(frame(4, Bytes::from_static(b"x")), Err(FrameError::Payload(4))));
        assert!(matches!(frame(9, Bytes::new()), Err(FrameError::Kind(9))));
    }
}
