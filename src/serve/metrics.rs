//! `[status] metrics`: the status as a page for Prometheus, over HTTP, for everybody who reaches the port. Nothing can be commanded here.
//!
//! **Answers for** one request per connection. The thread that listens and the places of clients are those of the Modbus server
//! ([`Door`]); a client has a thread, a time for its request and one for the reply, and makes room for others before they are over.
//!
//! **Never** asks the control thread: the page is made from the newest document, so no client can make it wait.

mod list;
mod page;
mod process;
mod reply;
pub mod request;
mod table;
mod visit;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};

pub use self::list::{Kind, Metric, all};
pub use self::page::{Facts, page};
pub use self::process::Process;
pub use self::table::markdown;
pub use self::visit::Patience;
use self::visit::Visit;
use super::alive::Alive;
use super::door::{BindError, Called, Door};
use super::socket::Published;

/// Prometheus, a second one, and a few people who look.
pub const MOST_CLIENTS: usize = 8;

static CALLED: Called =
    Called { who: "The server of the metrics", key: "[status] metrics", example: 9464, log: "metrics", thread: "metrics-client" };

/// A bound port.
#[derive(Debug)]
pub struct MetricsServer {
    door: Door<Visit>,
    patience: Patience,
}

impl MetricsServer {
    /// Binds the port. Nobody is answered yet.
    pub fn bind(listen: SocketAddr) -> Result<MetricsServer, BindError> {
        MetricsServer::bind_with(listen, Patience::default())
    }

    /// The same with other patience.
    pub fn bind_with(listen: SocketAddr, patience: Patience) -> Result<MetricsServer, BindError> {
        Ok(MetricsServer { door: Door::bind(&CALLED, listen, MOST_CLIENTS)?, patience })
    }

    /// Where it listens, with the port that the kernel chose for port 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.door.address()
    }

    /// Serves for ever, and shows about every second that it lives.
    pub fn serve(self, published: &Published, alive: &impl Alive) {
        let MetricsServer { door, patience } = self;
        let talk = |peer: IpAddr| {
            let published = published.clone();
            move |visit: &Visit| match visit.serve(|| now(&published)) {
                Ok(what) => log::debug!("metrics: {peer}: {what:?}"),
                Err(error) => log::debug!("metrics: {peer} was dropped: {error}"),
            }
        };
        door.serve(alive, |_| true, |stream: TcpStream| Visit::new(stream, patience), talk);
    }
}

/// The page of this moment.
fn now(published: &Published) -> String {
    let (document, age) = published.newest_and_age();
    page(&Facts { document: &document, age, process: Process::read() })
}
