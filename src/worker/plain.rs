//! Commands that only talk: no file and no data connection is touched; worker.

use super::commands;
use super::state::{Flow, Over, Representation, Session};
use crate::ftp::{reply, verb};

/// USER after login (reference §3.4).
pub fn user(session: &mut Session, arg: &[u8]) -> Flow {
    if session.anonymous() {
        session.reply(530, b"Can't change from guest user.");
    } else if arg == session.verdict.name {
        session.reply(331, b"Any password will do.");
    } else {
        session.reply(530, b"Can't change to another user.");
    }
    Ok(())
}

/// PASS after login.
pub fn pass(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(230, b"Already logged in.");
    Ok(())
}

/// PBSZ (RFC 4217).
pub fn pbsz(session: &mut Session, _: &[u8]) -> Flow {
    let (code, text) = commands::pbsz(session.data_side.is_some());
    session.reply(code, text);
    Ok(())
}

/// PROT (RFC 4217).
pub fn prot(session: &mut Session, arg: &[u8]) -> Flow {
    let protected = session.data_side.is_some();
    let (code, text) = commands::prot(protected, arg, &mut session.protect);
    session.reply(code, text);
    Ok(())
}

/// QUIT (RFC 959).
pub fn quit(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(221, b"Goodbye.");
    Err(Over(0))
}

/// TYPE (RFC 959): only ASCII non-print and image.
pub fn representation(session: &mut Session, arg: &[u8]) -> Flow {
    match verb::parse_type(arg) {
        Ok(verb::Type::Binary) => {
            session.representation = Representation::Binary;
            session.reply(200, b"Switching to Binary mode.");
        }
        Ok(verb::Type::Ascii) => {
            session.representation = Representation::Ascii;
            session.reply(200, b"Switching to ASCII mode.");
        }
        Err(verb::Bad) => session.reply(500, b"Unrecognised TYPE command."),
    }
    Ok(())
}

/// MODE (RFC 959): stream, and compressed where the options allow it (draft-preston-ftpext-deflate).
pub fn mode(session: &mut Session, arg: &[u8]) -> Flow {
    if arg.eq_ignore_ascii_case(b"S") {
        session.modern.packed = false;
        session.reply(200, b"Mode set to S.");
    } else if session.config.mode_z_enable && arg.eq_ignore_ascii_case(b"Z") {
        session.modern.packed = true;
        session.reply(200, b"Mode set to Z.");
    } else {
        if arg.eq_ignore_ascii_case(b"Z") {
            session.unwanted("MODE Z", "mode_z_enable=NO");
        }
        session.reply(504, b"Bad MODE command.");
    }
    Ok(())
}

/// STRU (RFC 959): only file.
pub fn stru(session: &mut Session, arg: &[u8]) -> Flow {
    if arg.eq_ignore_ascii_case(b"F") {
        session.reply(200, b"Structure set to F.");
    } else {
        session.reply(504, b"Bad STRU command.");
    }
    Ok(())
}

/// REST (RFC 3659 §5). What is no offset is refused: the original takes it for 0, and a STOR that follows destroys the
/// file from its beginning (attacks 0.8).
pub fn rest(session: &mut Session, arg: &[u8]) -> Flow {
    session.modern.range = None;
    if let Ok(offset) = verb::parse_rest(arg) {
        session.restart = offset;
        session.reply(
            350,
            format!("Restart position accepted ({offset}).").as_bytes(),
        );
    } else {
        session.restart = 0;
        session.reply(501, b"Bad restart position.");
    }
    Ok(())
}

/// ABOR without a transfer.
pub fn abor(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(225, b"No transfer to ABOR.");
    Ok(())
}

/// ALLO (RFC 959).
pub fn allo(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(202, b"ALLO command ignored.");
    Ok(())
}

/// ACCT (RFC 959).
pub fn acct(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(502, b"ACCT not implemented.");
    Ok(())
}

/// REIN (RFC 959).
pub fn rein(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(502, b"REIN not implemented.");
    Ok(())
}

/// SMNT (RFC 959).
pub fn smnt(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(502, b"SMNT not implemented.");
    Ok(())
}

/// NOOP (RFC 959).
pub fn noop(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(200, b"NOOP ok.");
    Ok(())
}

/// SYST (RFC 959).
pub fn syst(session: &mut Session, _: &[u8]) -> Flow {
    session.reply(215, b"UNIX Type: L8");
    Ok(())
}

/// HELP (RFC 959).
pub fn help(session: &mut Session, _: &[u8]) -> Flow {
    session.dash(214, b"The following commands are recognized.");
    for line in commands::help() {
        session.raw(&line);
    }
    session.reply(214, b"Help OK.");
    Ok(())
}

/// FEAT (RFC 2389).
pub fn feat(session: &mut Session, _: &[u8]) -> Flow {
    session.dash(211, b"Features:");
    let offer = commands::Offer {
        config: session.config,
        local: session.local,
        session: Some(session),
    };
    for line in commands::features(&offer) {
        session.raw(line.as_bytes());
    }
    session.reply(211, b"End");
    Ok(())
}

/// STAT without argument (reference §3.4.3); `moved` is what a running transfer has moved so far.
pub fn status(session: &mut Session, moved: Option<u64>) {
    session.dash(211, b"FTP server status:");
    let kind = match session.representation {
        Representation::Ascii => "ASCII",
        Representation::Binary => "BINARY",
    };
    let limit = session.rate().map_or_else(
        || "No session bandwidth limit".to_owned(),
        |rate| format!("Session bandwidth limit in byte/s is {rate}"),
    );
    let idle = match session.config.idle_session_timeout {
        0 => "No session timeout".to_owned(),
        seconds => format!("Session timeout in seconds is {seconds}"),
    };
    let name = session.verdict.name.clone();
    let mut lines: Vec<Vec<u8>> = vec![
        format!("Connected to {}", session.peer.ip()).into_bytes(),
        [b"Logged in as ".as_slice(), &name].concat(),
        format!("TYPE: {kind}").into_bytes(),
        limit.into_bytes(),
        idle.into_bytes(),
        if session.data_side.is_some() {
            b"Control connection is encrypted".to_vec()
        } else {
            b"Control connection is plain text".to_vec()
        },
        if session.protect {
            b"Data connections will be encrypted".to_vec()
        } else {
            b"Data connections will be plain text".to_vec()
        },
    ];
    if let Some(clients) = session.clients {
        lines.push(format!("At session startup, client count was {clients}").into_bytes());
    }
    lines.push(b"vsFTPd 3.0.5 - secure, fast, stable".to_vec());
    if let Some(bytes) = moved {
        lines.push(format!("Transfer in progress, {bytes} bytes so far").into_bytes());
    }
    for line in lines {
        // Helper lets in no name that could begin a line; whatever it lets in, none does.
        let mut text = Vec::with_capacity(line.len().saturating_add(8));
        reply::raw(&mut text, &[b"     ".as_slice(), &line].concat());
        session.raw(&text);
    }
    session.reply(211, b"End of status");
}
