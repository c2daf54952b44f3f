//! Starts threads, all in one place: the standard library's way to do it costs two kilobytes of program with each use.

use std::io;
use std::thread::{Builder, JoinHandle};

/// What a thread needs that serves one client: two buffers, and room for what it asks of others.
pub const SMALL_STACK: usize = 256 * 1024;
/// Longer names are cut by Linux (pthread_setname_np(3)).
const NAME_MOST: usize = 15;

/// Starts a thread of this name.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    start_boxed(name, None, Box::new(work))
}

/// The same with a [`SMALL_STACK`].
pub fn start_small(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    start_boxed(name, Some(SMALL_STACK), Box::new(work))
}

fn start_boxed(name: &str, stack: Option<usize>, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    let builder = Builder::new().name(name.chars().filter(|c| *c != '\0').take(NAME_MOST).collect());
    stack.into_iter().fold(builder, Builder::stack_size).spawn(work)
}
