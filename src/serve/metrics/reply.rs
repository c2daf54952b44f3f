//! The few answers of the server, as bytes. All of them end the connection.

use super::request::What;

/// Where the text format of Prometheus is told apart from others.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The whole reply; `page` makes the figures where they are wanted.
pub(super) fn reply(what: What, head_only: bool, page: impl FnOnce() -> String) -> Vec<u8> {
    let (status, content_type, more, body) = match what {
        What::Metrics => ("200 OK", FORMAT, "", page()),
        What::Pointer => ("404 Not Found", PLAIN, "", "This is sax-controller.\nIts figures for Prometheus are at /metrics.\n".to_owned()),
        What::NotFound => ("404 Not Found", PLAIN, "", "There is nothing here. The figures are at /metrics.\n".to_owned()),
        What::MethodNotAllowed => {
            ("405 Method Not Allowed", PLAIN, "Allow: GET, HEAD\r\n", "One can only read here, with GET or HEAD.\n".to_owned())
        }
        What::BadRequest => ("400 Bad Request", PLAIN, "", "This is no request of HTTP/1.1 or HTTP/1.0.\n".to_owned()),
        What::TooLong => ("431 Request Header Fields Too Large", PLAIN, "", "The request is too long.\n".to_owned()),
        What::TimedOut => ("408 Request Timeout", PLAIN, "", "The request was not whole in time.\n".to_owned()),
        What::Version => ("505 HTTP Version Not Supported", PLAIN, "", "This server speaks HTTP/1.1 and HTTP/1.0.\n".to_owned()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n");
    if head_only { head.into_bytes() } else { (head + &body).into_bytes() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_the_whole_would_be() {
        let whole = String::from_utf8(reply(What::Metrics, false, || "a 1\n".into())).unwrap();
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 4\r\nConnection: close\r\n\r\na 1\n";
        assert_eq!(whole, expected);
        assert_eq!(reply(What::Metrics, true, || "a 1\n".into()), expected.strip_suffix("a 1\n").unwrap().as_bytes());
    }
}
