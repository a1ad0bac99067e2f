//! Lines of a file by the bytes at which they begin.

use std::io::{self, Read, Seek, SeekFrom};

/// As much as is read at once, in bytes: so much where lines are asked for here and there, and up to so much where they follow
/// each other.
const SMALLEST: u64 = 4 << 10;
const LARGEST: u64 = 128 << 10;

/// Reads lines by the bytes at which they begin, some at once: most are asked for nearly in their order.
#[derive(Debug)]
pub struct LineWindow<F> {
    file: F,
    /// Part of the file, and the byte at which it begins.
    window: Vec<u8>,
    begin: u64,
    /// As much as is read next.
    size: u64,
}

impl<F: Read + Seek> LineWindow<F> {
    /// Lines of `file`.
    pub fn new(file: F) -> Self {
        Self {
            file,
            window: Vec::new(),
            begin: 0,
            size: SMALLEST,
        }
    }

    /// The line that begins at byte `offset`, with its LF; none if no whole line follows.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn line_at(&mut self, offset: u64) -> io::Result<Option<&[u8]>> {
        if self.find(offset).is_none() {
            self.read_around(offset)?;
        }
        Ok(self
            .find(offset)
            .and_then(|(from, to)| self.window.get(from..to)))
    }

    /// Where in the window the line at byte `offset` stands, if all of it does.
    fn find(&self, offset: u64) -> Option<(usize, usize)> {
        let from = usize::try_from(offset.checked_sub(self.begin)?).ok()?;
        let length = memchr::memchr(b'\n', self.window.get(from..)?)?;
        Some((from, from + length + 1))
    }

    fn read_around(&mut self, offset: u64) -> io::Result<()> {
        let end = self.begin + self.window.len() as u64;
        let is_near = offset + self.size >= self.begin && offset <= end;
        self.size = match is_near {
            true => (self.size * 4).min(LARGEST),
            false => SMALLEST,
        };
        self.begin = offset.saturating_sub(self.size / 4);
        let mut most = self.size;
        loop {
            self.window.clear();
            self.file.seek(SeekFrom::Start(self.begin))?;
            let mut part = self.file.by_ref().take(most);
            let length = part.read_to_end(&mut self.window)? as u64;
            // A line may be longer than any window.
            if length < most || self.find(offset).is_some() {
                return Ok(());
            }
            most *= 2;
        }
    }

    /// The file itself, to be read or added to.
    pub fn file_mut(&mut self) -> &mut F {
        // What is added may end a line that the window has a part of.
        self.window.clear();
        &mut self.file
    }

    /// The file itself.
    pub fn into_file(self) -> F {
        self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_wherever_they_stand_and_however_long_they_are() {
        let mut bytes = Vec::new();
        let mut lines = Vec::new();
        for (number, length) in (0..400).map(|number| (number, number * 37 % 5_000)).chain([
            (400, 300_000),
            (401, 1),
            (402, 140_000),
        ]) {
            let line = format!("{number}{}\n", "x".repeat(length));
            lines.push((bytes.len() as u64, line.clone()));
            bytes.extend(line.into_bytes());
        }
        let end = bytes.len() as u64;
        bytes.extend(b"torn");
        let mut window = LineWindow::new(io::Cursor::new(bytes));
        let mut check = |(offset, line): &(u64, String)| {
            assert_eq!(window.line_at(*offset).unwrap(), Some(line.as_bytes()));
        };
        lines.iter().chain(lines.iter().rev()).for_each(&mut check);
        for number in 0..lines.len() {
            check(&lines[number * 101 % lines.len()]);
        }
        assert_eq!(window.line_at(end).unwrap(), None);
        assert_eq!(window.line_at(end + 100).unwrap(), None);
    }
}
