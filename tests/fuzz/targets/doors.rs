//! Everything that clients reach, with any bytes in any pieces. The head of an HTTP request: the answer is certain from some byte on and stays. The
//! real doors over sockets: the page of figures gives one whole reply, our Modbus server answers every whole request in order and nothing else,
//! the status socket gives its one document whatever is sent to it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use sax_controller::config::{Network, TcpServer as Settings};
use sax_controller::modbus::pdu::Reply;
use sax_controller::serve::answers::{Answered, Answers, NO_TARGET};
use sax_controller::serve::document::Document;
use sax_controller::serve::metrics::MetricsServer;
use sax_controller::serve::metrics::request::{LONGEST, What, parse};
use sax_controller::serve::socket::{Published, StatusSocket};
use sax_controller::serve::tcp_server::TcpServer;

use super::bytes::Bytes;

const UNIT: u8 = 10;
/// So many requests take as many milliseconds.
const MOST_REQUESTS: usize = 12;

struct Doors {
    metrics: SocketAddr,
    modbus: SocketAddr,
    status: PathBuf,
}

static DOORS: LazyLock<Doors> = LazyLock::new(|| open().unwrap_or_else(|error| panic!("{error}")));

fn open() -> std::io::Result<Doors> {
    let published = Published::default();
    let metrics = MetricsServer::bind(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(std::io::Error::other)?;
    let settings = Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        allow: vec![Network::new([127, 0, 0, 1].into(), 32)],
        writable: true,
        max_connections: 8,
        idle_timeout_s: 10,
    };
    let modbus = TcpServer::bind(&settings).map_err(std::io::Error::other)?;
    let path = std::env::temp_dir().join(format!("sax-fuzz-{}.sock", std::process::id()));
    let status = StatusSocket::bind(&path)?;
    let doors = Doors { metrics: metrics.address()?, modbus: modbus.address()?, status: path };
    let shown = published.clone();
    std::thread::spawn(move || metrics.serve(&shown, &()));
    std::thread::spawn(move || modbus.serve(&Mirror, &()));
    std::thread::spawn(move || status.serve(&published, &()));
    Ok(doors)
}

/// Answers with the function and a digest of what was asked, so that every reply can be told.
#[derive(Clone)]
struct Mirror;

impl Answers for Mirror {
    fn answer(&self, unit: u8, pdu: &[u8]) -> Answered {
        if unit == UNIT {
            Answered::Reply(Reply::Exception { function: pdu[0] & 0x7f, code: digest(pdu) })
        } else {
            Answered::Nobody(NO_TARGET)
        }
    }
}

fn digest(pdu: &[u8]) -> u8 {
    pdu.iter().fold(17, |sum: u8, byte| sum.rotate_left(3) ^ byte)
}

pub fn run(input: &[u8]) {
    let mut bytes = Bytes(input);
    match bytes.below(16) {
        0 => page(&mut bytes),
        1 | 2 => modbus(&mut bytes),
        3 => status(bytes.0),
        _ => head(bytes.0),
    }
}

fn head(bytes: &[u8]) {
    let whole = parse(bytes);
    let certain =
        (0..=bytes.len().min(300)).chain((300..bytes.len()).step_by(97)).find_map(|length| Some((length, parse(&bytes[..length])?)));
    if let Some((length, asked)) = certain {
        assert_eq!(whole, Some(asked), "{length} bytes were enough for another answer");
        assert!(length > 0 && asked.what != What::TimedOut);
        let text = String::from_utf8_lossy(bytes);
        let is_plain = |start: &str| text.trim_start_matches(['\r', '\n']).starts_with(start);
        match asked.what {
            What::Metrics => assert!((is_plain("GET ") || is_plain("HEAD ")) && text.contains("/metrics")),
            What::Pointer | What::NotFound => assert!(is_plain("GET ") || is_plain("HEAD ")),
            What::MethodNotAllowed => assert!(!is_plain("GET ") && !is_plain("HEAD ")),
            _ => assert!(!asked.head_only),
        }
        assert!(!asked.head_only || is_plain("HEAD "));
    }
    assert!(whole.is_some() || bytes.len() < LONGEST);
}

/// Sends pieces and hears everything until the end.
fn hear(mut stream: impl Read + Write, pieces: &[&[u8]], end: impl FnOnce()) -> Vec<u8> {
    // Whoever has enough closes the connection.
    let _ = pieces.iter().try_for_each(|piece| stream.write_all(piece));
    end();
    let (mut heard, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return heard,
            Ok(count) => heard.extend_from_slice(&chunk[..count]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("it neither answers nor closes the connection, after {} bytes", heard.len())
            }
            // libFuzzer's own alarm.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return heard,
        }
    }
}

fn over_tcp(address: SocketAddr, pieces: &[&[u8]]) -> Vec<u8> {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{error}"));
    let _ = (stream.set_nodelay(true), stream.set_read_timeout(Some(Duration::from_secs(8))));
    hear(&stream, pieces, || drop(stream.shutdown(Shutdown::Write)))
}

fn page(bytes: &mut Bytes<'_>) {
    let stream = bytes.take(2048);
    let heard = over_tcp(DOORS.metrics, &bytes.cut(stream));
    let text = String::from_utf8(heard).unwrap_or_else(|error| panic!("{error}"));
    let Some(asked) = parse(stream) else { return assert_eq!(text, "", "an answer to half a request") };
    let status = match asked.what {
        What::Metrics => "200 ",
        What::Pointer | What::NotFound => "404 ",
        What::MethodNotAllowed => "405 ",
        What::BadRequest => "400 ",
        What::TooLong => "431 ",
        What::TimedOut => "408 ",
        What::Version => "505 ",
    };
    assert!(text.starts_with(&format!("HTTP/1.1 {status}")), "{asked:?}: {text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no end of the head: {text}"));
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    assert!(head.contains("\r\nConnection: close"));
    // The page has another number of seconds, so a head is only about as long as it says.
    assert_eq!(body.len(), if asked.head_only { 0 } else { length.unwrap_or(usize::MAX) });
}

fn modbus(bytes: &mut Bytes<'_>) {
    let mut stream = Vec::new();
    for _ in 0..bytes.below(MOST_REQUESTS) {
        let (transaction, unit) = (bytes.u16(), if bytes.chance(200) { UNIT } else { bytes.u8() });
        let length = if bytes.chance(30) { bytes.below(256) } else { bytes.below(12) };
        let pdu = bytes.take(length);
        let said = if bytes.chance(20) { bytes.u16() } else { pdu.len() as u16 + 1 };
        let protocol = if bytes.chance(8) { bytes.u16() } else { 0 };
        stream.extend([transaction, protocol, said].map(u16::to_be_bytes).concat());
        stream.push(unit);
        stream.extend(pdu);
    }
    let (expected, is_clean) = replies(&stream);
    let heard = over_tcp(DOORS.modbus, &bytes.cut(&stream));
    // With something unread behind it the end of a connection may overtake what was sent before it.
    assert!(if is_clean { heard == expected } else { expected.starts_with(&heard) }, "{heard:x?} instead of {expected:x?} to {stream:x?}");
}

/// The replies to a stream, and whether it holds nothing that is no request.
fn replies(stream: &[u8]) -> (Vec<u8>, bool) {
    let (mut rest, mut out) = (stream, Vec::new());
    while let [t0, t1, p0, p1, l0, l1, unit, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if (p0, p1) != (0, 0) || !(2..=254).contains(&length) {
            return (out, false);
        }
        let Some(pdu) = rest.get(7..6 + length) else { return (out, true) };
        let code = if unit == UNIT { digest(pdu) } else { NO_TARGET };
        out.extend([t0, t1, 0, 0, 0, 3, unit, pdu[0] | 0x80, code]);
        rest = &rest[6 + length..];
    }
    let is_wrong = matches!(*rest, [_, _, p0, p1, ..] if (p0, p1) != (0, 0))
        || matches!(*rest, [_, _, _, _, l0, l1, ..] if !(2..=254).contains(&u16::from_be_bytes([l0, l1])));
    (out, !is_wrong)
}

fn status(bytes: &[u8]) {
    let stream = UnixStream::connect(&DOORS.status).unwrap_or_else(|error| panic!("{error}"));
    let _ = (stream.set_read_timeout(Some(Duration::from_secs(8))), stream.set_nonblocking(false));
    let pieces: Vec<&[u8]> = bytes.chunks(200).collect();
    let heard = hear(&stream, &pieces, || ());
    let document: serde_json::Value = serde_json::from_slice(&heard).unwrap_or_else(|error| panic!("{error}: {heard:x?}"));
    assert!(heard.ends_with(b"}\n") && document.get("site").is_some());
    let _ = Document::default();
}
