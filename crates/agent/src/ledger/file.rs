//! The ledger's file: a line of JSON for whatever happened, read again at every start.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{book::Book, entry::Line};

/// The file's name.
pub(crate) const NAME: &str = "bans.lines";
/// What a damaged one is called, and a second one with a number behind.
const BAD: &str = "bans.bad";
/// So many damaged ones are kept.
const MOST_BAD: usize = 10;
/// So many lines that say nothing any more are left in it, beside as many as say something.
const SPARE: usize = 1000;

/// The file, and how much of it is known to be right.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    path: PathBuf,
    /// None where it cannot be read, for this reason: it is not written over.
    file: Result<Option<File>, String>,
    lines: usize,
    /// Bytes up to the end of the last line that was written whole.
    bytes: u64,
    /// It does not say what holds, since it could not be written: it is written anew at the next chance.
    is_behind: bool,
}

impl LedgerFile {
    /// Reads the file in a folder. What was wrong with it is said, and kept aside.
    pub(crate) fn open(folder: &Path) -> (Self, Book, Option<String>) {
        let path = folder.join(NAME);
        let mut opened = Self {
            path,
            file: Ok(None),
            lines: 0,
            bytes: 0,
            is_behind: true,
        };
        let bytes = match fs::read(&opened.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let problem = format!("{} cannot be read: {error}", opened.path.display());
                let notice = format!(
                    "who was banned before is not known, and bans are not kept over a restart, since {problem}"
                );
                opened.file = Err(problem);
                return (opened, Book::default(), Some(notice));
            }
        };
        let (book, bad) = replay(&bytes);
        let Some(first) = bad.first() else {
            return (opened, book, None);
        };
        let aside = keep_aside(folder, &opened.path);
        let more = match bad.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let place = match aside {
            Ok(aside) => format!("the file as it was is kept as {}", aside.display()),
            Err(error) => {
                // It must not be lost: nothing is written over it.
                opened.file = Err(format!(
                    "{} is damaged and cannot be copied: {error}",
                    opened.path.display()
                ));
                format!("it cannot be copied and is left as it is, so bans are not kept: {error}")
            }
        };
        let notice = format!(
            "bans may be missing: {}:{first}{more} cannot be read; {place}",
            opened.path.display()
        );
        (opened, book, Some(notice))
    }

    /// Adds lines, and returns when they are on the disk. The book is as it is with them.
    pub(crate) fn append(&mut self, lines: &[Line], book: &Book) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.is_behind || self.lines + lines.len() > 2 * book.len() + SPARE {
            return self.compact(book);
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        let Some(file) = self.opened()? else {
            return self.compact(book);
        };
        let written = file.write_all(&text).and_then(|()| file.sync_data());
        if let Err(error) = written {
            self.is_behind = true;
            // A line that was refused must not hold after a restart.
            if let Ok(Some(file)) = &self.file {
                let _ = file.set_len(self.bytes);
            }
            return Err(error);
        }
        self.bytes += text.len() as u64;
        self.lines += lines.len();
        Ok(())
    }

    /// Writes the file anew, with what holds alone. Whoever reads finds the old one or the new one, whole.
    pub(crate) fn compact(&mut self, book: &Book) -> io::Result<()> {
        self.opened()?;
        let written = self.write_anew(book);
        self.is_behind = written.is_err();
        written
    }

    fn write_anew(&mut self, book: &Book) -> io::Result<()> {
        let new = self.path.with_extension("lines.new");
        let mut options = OpenOptions::new();
        // Only root reads it.
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut writer = BufWriter::new(options.open(&new)?);
        let mut lines = 0;
        for line in book.lines() {
            serde_json::to_writer(&mut writer, &line)?;
            writer.write_all(b"\n")?;
            lines += 1;
        }
        let file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        let file = OpenOptions::new().append(true).open(&self.path)?;
        self.bytes = file.metadata()?.len();
        self.lines = lines;
        self.file = Ok(Some(file));
        Ok(())
    }

    /// Has the disk be full from now on, until the file is written anew.
    #[cfg(test)]
    pub(crate) fn fill_disk(&mut self) {
        let full = OpenOptions::new().write(true).open("/dev/full");
        self.file = Ok(Some(full.expect("a device that is full")));
    }

    fn opened(&mut self) -> io::Result<Option<&mut File>> {
        match &mut self.file {
            Ok(file) => Ok(file.as_mut()),
            Err(problem) => Err(io::Error::other(problem.clone())),
        }
    }
}

/// What lines say, and the numbers of those that cannot be read. The last may be without its end, where the power went while it
/// was being written: nobody was told that it holds.
pub(crate) fn replay(bytes: &[u8]) -> (Book, Vec<usize>) {
    let mut book = Book::default();
    let mut bad = Vec::new();
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match serde_json::from_slice(line) {
            Ok(line) => book.apply(line),
            Err(_) if line.last() != Some(&b'\n') => {}
            Err(_) => bad.push(number + 1),
        }
    }
    (book, bad)
}

/// Copies a damaged file beside itself, over none that was kept before but the last.
fn keep_aside(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let name = |number: usize| match number {
        0 => folder.join(BAD),
        number => folder.join(format!("{BAD}.{number}")),
    };
    let free = (0..MOST_BAD).map(name).find(|aside| !aside.exists());
    let aside = free.unwrap_or_else(|| name(MOST_BAD - 1));
    fs::copy(path, &aside)?;
    File::open(&aside)?.sync_all()?;
    Ok(aside)
}
