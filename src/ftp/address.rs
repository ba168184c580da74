//! Addresses in commands and replies: PORT, EPRT, EPSV, 227 and 229; runs in worker.

use super::number;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

/// The argument of PORT is not six numbers from 0 to 255: 500.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPort;

/// Why the argument of EPRT is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EprtError {
    /// Neither protocol 1 nor, on an IPv6 control connection, 2: `500 Bad EPRT protocol.`
    Protocol,
    /// The rest is malformed: `500 Bad EPRT command.`
    Bad,
}

/// What EPSV asks for (RFC 2428 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epsv {
    /// No argument: the family of the control connection.
    Any,
    /// `ALL`: from now on nothing but EPSV.
    All,
    /// `1`.
    V4,
    /// `2`.
    V6,
    /// Anything else: `522 Bad network protocol.`
    Other,
}

/// Reads `h1,h2,h3,h4,p1,p2` (RFC 959 §4.1.2), each 1 to 3 digits, with blanks around them, which clients write that fill numbers up.
/// The original reads each with atoi and so takes signs and trailing letters too; no client sends them.
///
/// # Errors
/// [`BadPort`] for everything else.
pub fn parse_port(arg: &[u8]) -> Result<SocketAddrV4, BadPort> {
    let mut fields = arg.split(|byte| *byte == b',');
    let mut next = || {
        let value = fields
            .next()
            .and_then(|text| number::parse(without_blanks(text), 3))
            .ok_or(BadPort)?;
        u8::try_from(value).map_err(|_| BadPort)
    };
    let ip = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    let port = u16::from_be_bytes([next()?, next()?]);
    if fields.next().is_some() {
        Err(BadPort)
    } else {
        Ok(SocketAddrV4::new(ip, port))
    }
}

/// Without the blanks around it; what else is white, as the line end that a zero byte stands for, is no part of a number (attacks B-035).
fn without_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = text {
        text = rest;
    }
    text
}

/// Reads `|protocol|address|port|` (RFC 2428 §2). Only `|` is a delimiter, a scope behind `%` is dropped and the last delimiter
/// may be missing, as in the original.
///
/// # Errors
/// [`EprtError`] says which of the two replies the original gives.
pub fn parse_eprt(arg: &[u8], control_is_v6: bool) -> Result<SocketAddr, EprtError> {
    if arg.is_empty() {
        return Err(EprtError::Protocol);
    }
    let mut fields = arg
        .strip_prefix(b"|")
        .ok_or(EprtError::Bad)?
        .split(|byte| *byte == b'|');
    let protocol = fields.next().unwrap_or_default();
    let host = fields.next();
    let v6 = match protocol {
        b"1" => false,
        b"2" if control_is_v6 => true,
        _ => return Err(EprtError::Protocol),
    };
    let host = host
        .and_then(|text| text.split(|byte| *byte == b'%').next())
        .ok_or(EprtError::Bad)?;
    let host = std::str::from_utf8(host).map_err(|_| EprtError::Bad)?;
    let ip = if v6 {
        host.parse::<Ipv6Addr>().map(IpAddr::V6)
    } else {
        host.parse::<Ipv4Addr>().map(IpAddr::V4)
    };
    let ip = ip.map_err(|_| EprtError::Bad)?;
    let port = fields
        .next()
        .and_then(|text| number::parse(text, 5))
        .ok_or(EprtError::Bad)?;
    let port = u16::try_from(port).map_err(|_| EprtError::Bad)?;
    match (fields.next(), fields.next()) {
        (None | Some(b""), None) => Ok(SocketAddr::new(ip, port)),
        (Some(_), _) | (None, Some(_)) => Err(EprtError::Bad),
    }
}

/// Reads the argument of EPSV; blanks around a number count as little as with PORT.
#[must_use]
pub fn parse_epsv(arg: &[u8]) -> Epsv {
    match without_blanks(arg) {
        b"1" => Epsv::V4,
        b"2" => Epsv::V6,
        _ if arg.is_empty() => Epsv::Any,
        _ if arg.eq_ignore_ascii_case(b"ALL") => Epsv::All,
        _ => Epsv::Other,
    }
}

/// The text of a 227 reply, with the full stop that clients may rely on.
#[must_use]
pub fn format_227(ip: Ipv4Addr, port: u16) -> String {
    let [a, b, c, d] = ip.octets();
    let [high, low] = port.to_be_bytes();
    format!("Entering Passive Mode ({a},{b},{c},{d},{high},{low}).")
}

/// The text of a 229 reply, which has no full stop.
#[must_use]
pub fn format_229(port: u16) -> String {
    format!("Entering Extended Passive Mode (|||{port}|)")
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// attacks B-035.
    #[test]
    fn port_good_and_bad() {
        assert_eq!(
            parse_port(b"127,0,0,1,200,201"),
            Ok("127.0.0.1:51401".parse().unwrap())
        );
        assert_eq!(
            parse_port(b"127,0,00,001,0,0"),
            Ok("127.0.0.1:0".parse().unwrap())
        );
        assert_eq!(
            parse_port(b" 127,  0,  0,  1, 200,201 "),
            Ok("127.0.0.1:51401".parse().unwrap())
        );
        for bad in [
            &b""[..],
            b"127,0,0,1,200",
            b"127,0,0,1,200,",
            b"127,0,0,1,200,200,",
            b"127,0,0,1,200,200,1",
            b"127,0,0,1,256,0",
            b"127,0,0,,2,2",
            b"127,0,0,-1,2,2",
            b"127,0,0,+1,2,2",
            b"127,0,0,1, ,2",
            b"12 7,0,0,1,2,2",
            b"127,0,0,1,2,2x",
            b"0x7f,0,0,1,2,2",
            b"127,0,0,1,1e3,2",
            b"127.0.0.1,2,2",
            b"127,0,0,0001,2,2",
            b"127,0,0,\xd9\xa1,2,2",
            b"127\n,0,0,1,2,2",
            b"127,0,0,1,2,2\r",
            b"127,\t0,0,1,2,2",
        ] {
            assert_eq!(parse_port(bad), Err(BadPort), "{}", bad.escape_ascii());
        }
        assert_eq!(parse_port(&[b'1'; 4000]), Err(BadPort));
    }

    /// attacks B-034, B-035.
    #[test]
    fn eprt_good() {
        let v4 = Ok("127.0.0.1:5000".parse().unwrap());
        assert_eq!(
            parse_eprt(b"|1|127.0.0.1|65535|", false),
            Ok("127.0.0.1:65535".parse().unwrap())
        );
        for arg in [
            &b"|1|127.0.0.1|5000|"[..],
            b"|1|127.0.0.1|5000",
            b"|1|127.0.0.1%lo|5000|",
        ] {
            assert_eq!(parse_eprt(arg, false), v4, "{}", arg.escape_ascii());
            assert_eq!(parse_eprt(arg, true), v4);
        }
        assert_eq!(
            parse_eprt(b"|2|::1|5000|", true),
            Ok("[::1]:5000".parse().unwrap())
        );
        assert_eq!(
            parse_eprt(b"|2|fe80::1%eth0|5000|", true),
            Ok("[fe80::1]:5000".parse().unwrap())
        );
        assert_eq!(
            parse_eprt(b"|2|::ffff:127.0.0.1|6000|", true),
            Ok("[::ffff:127.0.0.1]:6000".parse().unwrap())
        );
    }

    /// attacks B-035.
    #[test]
    fn eprt_bad() {
        for arg in [
            &b""[..],
            b"|",
            b"||",
            b"|3|127.0.0.1|5000|",
            b"|2|::1|5000|",
            b"|1x|127.0.0.1|5000|",
            b"|-1|127.0.0.1|5000|",
        ] {
            assert_eq!(
                parse_eprt(arg, false),
                Err(EprtError::Protocol),
                "{}",
                arg.escape_ascii()
            );
        }
        for arg in [
            &b"!1!127.0.0.1!5000!"[..],
            b"1|127.0.0.1|5000|",
            b"|1|127.0.0.1|",
            b"|1|127.0.0.1||",
            b"|1|127.0.0.1|65536|",
            b"|1|127.0.0.1|005000|",
            b"|1|127.0.0.1|5000|x",
            b"|1|127.0.0.1|5000||",
            b"|1|127.0.0.1| 5000|",
            b"|1|127.0.0.1|5000x|",
            b"|1|::1|5000|",
            b"|2|127.0.0.1|5000|",
            b"|1|0127.0.0.1|5000|",
            b"|1|\xff|5000|",
            b"|1|",
            b"|1",
            b"|2|::1]|5|",
            b"|1||5000|",
        ] {
            assert_eq!(
                parse_eprt(arg, true),
                Err(EprtError::Bad),
                "{}",
                arg.escape_ascii()
            );
        }
    }

    #[test]
    fn epsv() {
        for (arg, want) in [
            (&b""[..], Epsv::Any),
            (b"1", Epsv::V4),
            (b" 1 ", Epsv::V4),
            (b"2", Epsv::V6),
            (b"all", Epsv::All),
            (b"ALL", Epsv::All),
        ] {
            assert_eq!(parse_epsv(arg), want);
        }
        for arg in [&b"0"[..], b"3", b"x", b" ", b"\t1", b"1x", b"ALLx"] {
            assert_eq!(parse_epsv(arg), Epsv::Other);
        }
    }

    #[test]
    fn replies() {
        assert_eq!(
            format_227(Ipv4Addr::LOCALHOST, 51401),
            "Entering Passive Mode (127,0,0,1,200,201)."
        );
        assert_eq!(
            format_229(11491),
            "Entering Extended Passive Mode (|||11491|)"
        );
    }

    proptest! {
        /// attacks B-035.
        #[test]
        fn any_bytes(arg: Vec<u8>, v6: bool) {
            let _ = (parse_port(&arg), parse_eprt(&arg, v6), parse_epsv(&arg));
        }

        #[test]
        fn port_reads_227(ip: u32, port: u16) {
            let text = format_227(Ipv4Addr::from(ip), port);
            let inner = &text[text.find('(').unwrap() + 1..text.find(')').unwrap()];
            prop_assert_eq!(parse_port(inner.as_bytes()), Ok(SocketAddrV4::new(Ipv4Addr::from(ip), port)));
        }
    }
}
