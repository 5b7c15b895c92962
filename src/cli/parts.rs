//! What a blocking thread writes, passed on in parts.

use std::io::{self, Write};

use bytes::Bytes;
use indicatif::{HumanBytes, ProgressBar};

/// The size of the parts that are passed on.
pub const PART: usize = 64 * 1024;

/// Gathers parts and tells how many bytes were passed on. Flush it at the end.
pub struct PartWriter {
    buffer: Vec<u8>,
    sent: u64,
    title: &'static str,
    progress: ProgressBar,
    pass_on: Box<dyn FnMut(Bytes) -> bool + Send>,
}

impl PartWriter {
    /// `pass_on` may block, and says whether anybody still takes parts.
    pub fn new(
        title: &'static str,
        progress: ProgressBar,
        pass_on: impl FnMut(Bytes) -> bool + Send + 'static,
    ) -> Self {
        Self { buffer: Vec::with_capacity(PART), sent: 0, title, progress, pass_on: Box::new(pass_on) }
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(PART)));
        self.sent += part.len() as u64;
        if !(self.pass_on)(part) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.progress.set_message(format!("{} ({})", self.title, HumanBytes(self.sent)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_written_is_passed_on_until_nobody_takes_it() {
        let (sender, parts) = std::sync::mpsc::channel();
        let mut writer = PartWriter::new("Sending", ProgressBar::hidden(), move |part| sender.send(part).is_ok());
        let written: Vec<u8> = (0..150_000_u32).map(|number| number as u8).collect();
        written.chunks(1000).for_each(|chunk| writer.write_all(chunk).unwrap());
        writer.flush().unwrap();
        let received: Vec<Bytes> = parts.try_iter().collect();
        assert_eq!(received.concat(), written);
        assert!(received.len() >= 2);
        drop(parts);
        writer.write_all(b"x").unwrap();
        assert_eq!(writer.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
