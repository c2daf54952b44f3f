//! The status socket: whoever connects gets one JSON document, and the connection is closed. Nothing is ever read from it.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::alive::Alive;
use super::document::Document;
use super::image::Image;
use crate::link::deadline::Deadline;

/// A reader that does not take the whole document in this time is dropped; the others wait for no longer.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// So long it waits for a reader before it shows that it lives.
const LOOK: Duration = Duration::from_secs(1);

/// The newest document and registers, shared with those who serve them.
#[derive(Clone)]
pub struct Published(Arc<Mutex<Snapshot>>);

struct Snapshot {
    document: Arc<Document>,
    image: Option<Arc<Image>>,
    at: Instant,
}

/// The state of the site in a document that is older than it may be.
pub const STALLED: &str = "stalled";

/// A document that is older than this says so.
const STALE: Duration = Duration::from_secs(5);

impl Default for Published {
    fn default() -> Self {
        Published(Arc::new(Mutex::new(Snapshot { document: Arc::default(), image: None, at: Instant::now() })))
    }
}

impl Published {
    /// Replaces the document and the registers.
    pub fn publish(&self, document: Document, image: Option<Image>) {
        *self.lock() = Snapshot { document: Arc::new(document), image: image.map(Arc::new), at: Instant::now() };
    }

    /// Replaces the registers alone, between two documents.
    pub fn publish_image(&self, image: Option<Image>) {
        self.lock().image = image.map(Arc::new);
    }

    /// The newest registers; `None` where there are none, or where nobody has looked after them for too long to believe them.
    pub fn image(&self) -> Option<Arc<Image>> {
        let snapshot = self.lock();
        snapshot.image.clone().filter(|_| snapshot.at.elapsed() < STALE)
    }

    /// Our unit id; it stays what it was where the registers are too old. `None`: there never were any.
    pub fn unit(&self) -> Option<u8> {
        self.lock().image.as_ref().map(|image| image.unit)
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest document; where it is stale, its state and reason say so, since what it tells is of then.
    pub fn newest(&self) -> Arc<Document> {
        self.newest_and_age().0
    }

    /// The same, and how old it is.
    pub fn newest_and_age(&self) -> (Arc<Document>, Duration) {
        let (document, age) = {
            let snapshot = self.lock();
            (Arc::clone(&snapshot.document), snapshot.at.elapsed())
        };
        if age < STALE {
            return (document, age);
        }
        let mut stale = Document::clone(&document);
        stale.site.state = STALLED;
        stale.site.reason = format!("the control thread has given no sign of life for {} s; all values are of then", age.as_secs());
        (Arc::new(stale), age)
    }
}

/// A bound socket; its file is removed when this is dropped.
pub struct StatusSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl StatusSocket {
    /// Binds `path`, replacing a file that nobody listens on any more. `AddrInUse` when another controller serves it.
    pub fn bind(path: &Path) -> io::Result<StatusSocket> {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another sax-controller serves this socket"));
        }
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of that name that is no socket")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Its `accept` ends after [`LOOK`]: on Linux the receive timeout holds for that too (socket(7)), but only streams let one set it.
        let stream = UnixStream::from(OwnedFd::from(UnixListener::bind(path)?));
        stream.set_read_timeout(Some(LOOK))?;
        let listener = UnixListener::from(OwnedFd::from(stream));
        // Everyone on this machine may read the status; there is nothing else to do with the socket.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
        Ok(StatusSocket { listener, path: path.to_owned() })
    }

    /// Serves for ever, one reader after the other, and shows about every second that it lives.
    pub fn serve(&self, published: &Published, alive: &impl Alive) {
        loop {
            alive.beat();
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Err(error) = send(stream, &published.newest()) {
                        log::debug!("status socket: a reader was dropped: {error}");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    log::debug!("status socket: {error}");
                    std::thread::sleep(WRITE_TIMEOUT);
                }
            }
        }
    }

    /// A second handle, for the thread that serves.
    pub fn try_clone(&self) -> io::Result<StatusSocket> {
        Ok(StatusSocket { listener: self.listener.try_clone()?, path: PathBuf::new() })
    }
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn send(mut stream: UnixStream, document: &Document) -> io::Result<()> {
    let deadline = Deadline::after(WRITE_TIMEOUT);
    let mut text = serde_json::to_vec(document)?;
    text.push(b'\n');
    let mut rest = text.as_slice();
    while !rest.is_empty() {
        // One that takes a byte now and then does not get more time.
        stream.set_write_timeout(Some(deadline.left().ok_or_else(|| deadline.passed())?))?;
        let sent = stream.write(rest)?;
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}
