//! Standard output and standard error. Nothing else in the program writes to them.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

use super::Error;

/// Standard output, or a buffer in tests. A reader that goes away ends the verb quietly instead of in a panic.
pub struct Output {
    writer: Box<dyn Write>,
    colour: bool,
}

impl Output {
    /// The process's standard output.
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Output { writer: Box::new(BufWriter::new(stdout)), colour }
    }

    /// Output that goes elsewhere, without colours.
    pub fn to(writer: Box<dyn Write>) -> Self {
        Output { writer, colour: false }
    }

    /// Whether colours are wanted: on a terminal, unless `NO_COLOR` is set.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When the reader has gone away or the system refuses.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), Error> {
        writeln!(self.writer, "{}", text.as_ref()).map_err(failed)
    }

    /// Writes text as it is.
    ///
    /// # Errors
    /// When the reader has gone away or the system refuses.
    pub fn text(&mut self, text: impl AsRef<str>) -> Result<(), Error> {
        self.writer.write_all(text.as_ref().as_bytes()).map_err(failed)
    }

    /// Hands everything over to the reader.
    ///
    /// # Errors
    /// When the reader has gone away or the system refuses.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(failed)
    }
}

fn failed(error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::BrokenPipe => Error::ReaderGone,
        _ => Error::Failure(format!("can't write to standard output: {error}")),
    }
}

/// Writes a line to standard error; when nobody reads that either, there is nobody to tell.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let mut output = Output::to(Box::new(Gone));
        let error = output.line("text").expect_err("nobody reads");
        assert!(matches!(error, Error::ReaderGone));
        assert_eq!(error.code(), 0);
    }
}
