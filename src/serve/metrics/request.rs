//! What is asked over HTTP: the head of one request out of bytes, as RFC 9112 has it, without any socket.
//!
//! **Answers for** which of our few answers a request gets, and for saying so as soon as that is certain.
//!
//! **Never** reads more than [`LONGEST`] bytes, and takes nothing from a request but its method and its path: headers are only looked at
//! for whether this is HTTP at all, and what follows the head is not looked at.

/// The longest head of a request. RFC 9112 section 3 recommends 8000 bytes for the first line alone.
pub const LONGEST: usize = 8192;
/// The most header lines.
pub const HEADERS_MOST: usize = 100;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Which answer it gets.
    pub what: What,
    /// Only the head of the answer is wanted.
    pub head_only: bool,
}

/// Which answer a request gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// `/metrics`.
    Metrics,
    /// `/`: where the figures are.
    Pointer,
    /// There is nothing of that name.
    NotFound,
    /// Another method than GET and HEAD.
    MethodNotAllowed,
    /// This is no HTTP.
    BadRequest,
    /// The head is longer than [`LONGEST`], or has more than [`HEADERS_MOST`] header lines.
    TooLong,
    /// It was not whole in time. No bytes lead to this.
    TimedOut,
    /// HTTP, but neither 1.0 nor 1.1.
    Version,
}

/// The answer to what has come so far; `None` while the head is not whole and may become a request.
pub fn parse(bytes: &[u8]) -> Option<Asked> {
    let whole = bytes.get(..LONGEST).unwrap_or(bytes);
    // TLS, and what else no head of a request can be; behind the head it may stand.
    let foreign = whole.iter().position(|byte| byte.is_ascii_control() && !matches!(byte, b'\r' | b'\n' | b'\t'));
    let whole = foreign.and_then(|at| whole.get(..at)).unwrap_or(whole);
    // Empty lines before a request are left out (section 2.2).
    let start = whole.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(whole.len());
    let mut rest = whole.get(start..).unwrap_or_default();
    let mut first = None;
    let (mut headers, mut hosts) = (0, 0);
    while let Some(line) = next_line(&mut rest) {
        let Some(asked) = first else {
            match first_line(line) {
                Ok(asked) => first = Some(asked),
                Err(what) => return Some(refused(what)),
            }
            continue;
        };
        if line.is_empty() {
            return Some(judged(asked, hosts));
        }
        headers += 1;
        match header_name(line) {
            _ if headers > HEADERS_MOST => return Some(refused(What::TooLong)),
            None => return Some(refused(What::BadRequest)),
            Some(name) => hosts += usize::from(name.eq_ignore_ascii_case(b"host")),
        }
    }
    match foreign {
        Some(_) => Some(refused(What::BadRequest)),
        None => (bytes.len() >= LONGEST).then(|| refused(What::TooLong)),
    }
}

/// What the first line asks for, and whether it is HTTP/1.1.
type First = (Asked, bool);

fn refused(what: What) -> Asked {
    Asked { what, head_only: false }
}

/// A request of HTTP/1.1 names its host once (section 3.2).
fn judged((asked, is_1_1): First, hosts: usize) -> Asked {
    if hosts > 1 || (is_1_1 && hosts == 0) { refused(What::BadRequest) } else { asked }
}

/// The next whole line without its end; a line may end without the carriage return (section 2.2).
fn next_line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, behind) = rest.split_at(end);
    *rest = behind.get(1..).unwrap_or_default();
    Some(line.strip_suffix(b"\r").unwrap_or(line))
}

/// `GET /metrics HTTP/1.1`.
fn first_line(line: &[u8]) -> Result<First, What> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(What::BadRequest);
    };
    let is_1_1 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(What::Version);
        }
        _ => return Err(What::BadRequest),
    };
    if !is_token(method) || target.iter().any(|byte| !byte.is_ascii_graphic()) {
        return Err(What::BadRequest);
    }
    let head_only = method == b"HEAD";
    let path = path(target).ok_or(What::BadRequest)?;
    let what = match path {
        _ if !head_only && method != b"GET" => What::MethodNotAllowed,
        b"/metrics" => What::Metrics,
        b"/" => What::Pointer,
        _ => What::NotFound,
    };
    Ok((Asked { what, head_only }, is_1_1))
}

/// The path of a target without its query: `/metrics?x=1`, `http://gateway:9464/metrics` (section 3.2.2) or `*`.
fn path(target: &[u8]) -> Option<&[u8]> {
    let target = match target.strip_prefix(b"http://") {
        Some(absolute) => absolute.iter().position(|byte| *byte == b'/').map_or(&b"/"[..], |at| absolute.get(at..).unwrap_or_default()),
        None => target,
    };
    let path = target.split(|byte| matches!(byte, b'?' | b'#')).next()?;
    (path.first() == Some(&b'/') || path == b"*").then_some(path)
}

/// The name of a header line. There is no space before the colon, and a line does not go on in the next one (section 5).
fn header_name(line: &[u8]) -> Option<&[u8]> {
    let name = line.split(|byte| *byte == b':').next()?;
    (name.len() < line.len() && is_token(name)).then_some(name)
}

/// RFC 9110 section 5.6.2.
fn is_token(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> Option<What> {
        parse(text.as_bytes()).map(|asked| asked.what)
    }

    #[test]
    fn requests_and_their_answers() {
        let host = "Host: gateway:9464\r\n";
        for (line, expected) in [
            ("GET /metrics HTTP/1.1", What::Metrics),
            ("GET /metrics?x=1&y HTTP/1.1", What::Metrics),
            ("GET http://gateway:9464/metrics HTTP/1.1", What::Metrics),
            ("GET http://gateway HTTP/1.1", What::Pointer),
            ("GET / HTTP/1.1", What::Pointer),
            ("GET /metrics/ HTTP/1.1", What::NotFound),
            ("GET /../metrics HTTP/1.1", What::NotFound),
            ("POST /metrics HTTP/1.1", What::MethodNotAllowed),
            ("OPTIONS * HTTP/1.1", What::MethodNotAllowed),
            ("get /metrics HTTP/1.1", What::MethodNotAllowed),
            ("GET metrics HTTP/1.1", What::BadRequest),
            ("GET  /metrics HTTP/1.1", What::BadRequest),
            ("GET /metrics", What::BadRequest),
            ("GET /m\u{e9}trics HTTP/1.1", What::BadRequest),
            ("GET /metrics http/1.1", What::BadRequest),
            ("G(T /metrics HTTP/1.1", What::BadRequest),
            ("GET /metrics HTTP/2.0", What::Version),
        ] {
            assert_eq!(what(&format!("{line}\r\n{host}\r\n")), Some(expected), "{line}");
            assert_eq!(what(&format!("\r\n\n{line}\n{host}Accept:text/plain\n\n")), Some(expected), "{line}");
        }
        assert_eq!(parse(b"HEAD /metrics HTTP/1.0\r\n\r\n"), Some(Asked { what: What::Metrics, head_only: true }));
    }

    #[test]
    fn hosts_and_headers_are_looked_at() {
        let with = |headers: &str| what(&format!("GET /metrics HTTP/1.1\r\n{headers}\r\n"));
        assert_eq!(with("hOsT:\r\n"), Some(What::Metrics));
        for wrong in ["", "Host: a\r\nHost: a\r\n", "Host : a\r\n", "Host: a\r\n folded\r\n", "Host: a\r\nnothing\r\n", ": a\r\n"] {
            assert_eq!(with(wrong), Some(What::BadRequest), "{wrong:?}");
        }
        assert_eq!(with(&format!("Host: a\r\n{}", "A: b\r\n".repeat(HEADERS_MOST - 1))), Some(What::Metrics));
        assert_eq!(with(&format!("Host: a\r\n{}", "A: b\r\n".repeat(HEADERS_MOST))), Some(What::TooLong));
    }

    #[test]
    fn it_is_said_as_soon_as_it_is_certain() {
        assert_eq!(what(""), None);
        assert_eq!(what("GET /metrics HTTP/1.1\r\nHost: a\r\n"), None);
        assert_eq!(parse(&[0x16, 3, 1, 2, 0, 1]).map(|asked| asked.what), Some(What::BadRequest), "the beginning of TLS");
        assert_eq!(what("hello\n"), Some(What::BadRequest));
        assert_eq!(what("GET / HTTP/1.1\r\nHost: a\r\n\r\n\0"), Some(What::Pointer), "what follows the head may come with it");
        assert_eq!(what("GET / HTTP/1.1\r\nHost: a\r\n\0"), Some(What::BadRequest));
        assert_eq!(what(&"a".repeat(LONGEST - 1)), None);
        assert_eq!(what(&"a".repeat(LONGEST)), Some(What::TooLong));
        assert_eq!(what(&"\r\n".repeat(LONGEST)), Some(What::TooLong));
    }
}
