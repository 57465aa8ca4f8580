//! Length-prefixed frames on what were stdin and stdout.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::FromRawFd;

const MAX_FRAME: usize = 16 << 20;

pub struct Frames {
  input: File,
  output: File,
}

impl Frames {
  /// Take descriptors 0 and 1 for the frames and point 1 at stderr: the crates print to stdout now and then, and a
  /// stray line must not be able to pass for a response.
  pub fn take_stdio() -> Self {
    unsafe {
      let input = libc::dup(0);
      let output = libc::dup(1);
      libc::dup2(2, 1);
      libc::dup2(2, 0);
      Frames { input: File::from_raw_fd(input), output: File::from_raw_fd(output) }
    }
  }

  /// The next frame, or None at the end of the stream.
  pub fn read(&mut self) -> Result<Option<Vec<u8>>> {
    let mut length = [0u8; 4];
    match self.input.read_exact(&mut length) {
      Ok(()) => (),
      Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
      Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
      return Err(Error::new(ErrorKind::InvalidData, "frame too large"));
    }
    let mut body = vec![0u8; length];
    self.input.read_exact(&mut body)?;
    Ok(Some(body))
  }

  pub fn write(&mut self, body: &[u8]) -> Result<()> {
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    frame.extend_from_slice(body);
    self.output.write_all(&frame)
  }
}
