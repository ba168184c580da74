//! SITE: CHMOD, UMASK, UTIME and HELP (reference §3.4.5); worker.

use super::change::conclude;
use super::commands::{Gate, denied, permitted, shut};
use super::stamp;
use super::state::{Flow, Session};
use crate::ftp::verb;
use crate::wire::{Change, Outcome};

/// SITE.
pub fn site(session: &mut Session, arg: &[u8]) -> Flow {
    let may_chmod = session.config.write_enable && session.config.chmod_enable;
    let may_utime = permitted(session, Gate::SetTime, b"") && !denied(session.config, b"MDTM");
    let (word, rest) = verb::split_word(arg);
    match word.as_slice() {
        b"CHMOD" if may_chmod => chmod(session, rest),
        b"UMASK" => umask(session, rest),
        b"UTIME" if may_utime => stamp::utime(session, rest),
        b"HELP" => {
            let words = [
                (may_chmod, "CHMOD "),
                (true, "UMASK "),
                (may_utime, "UTIME "),
            ];
            let shown: String = words
                .iter()
                .filter_map(|(on, word)| on.then_some(*word))
                .collect();
            session.reply(214, format!("{shown}HELP").as_bytes());
        }
        other => {
            say_why(session, other);
            session.reply(500, b"Unknown SITE command.");
        }
    }
    Ok(())
}

/// The log's reason for a word that the options have taken away.
fn say_why(session: &mut Session, word: &[u8]) {
    let gate = match word {
        b"CHMOD" => Gate::SetMode,
        b"UTIME" => Gate::SetTime,
        _ => return,
    };
    let name = [b"SITE ", word].concat();
    match shut(session, gate, b"") {
        Some(shut) => session.shut_out(&name, shut),
        None => session.forbidden(&name, "cmds_denied=MDTM"),
    }
}

/// Set-id bits are never set; a mode that is no octal number is refused: the original takes `u+x` for 000.
fn chmod(session: &mut Session, arg: &[u8]) {
    let (mode, path) = verb::split_raw(arg);
    if path.is_empty() {
        session.reply(500, b"SITE CHMOD needs 2 arguments.");
        return;
    }
    let path = session.expand(path);
    let text = [session.log_path(&path).as_slice(), b" ", mode].concat();
    if session.denied(&path) {
        session.changed(Change::Chmod, Outcome::Failed, text);
        return;
    }
    let Ok(bits) = verb::parse_mode(mode) else {
        session.reply(501, b"SITE CHMOD needs an octal mode such as 644.");
        session.changed(Change::Chmod, Outcome::Failed, text);
        return;
    };
    let result = session.tree.chmod(&session.cwd, &path, bits);
    let (done, failed) = (b"SITE CHMOD command ok.", b"SITE CHMOD command failed.");
    conclude(session, (Change::Chmod, text), result, (200, done), failed);
}

fn umask(session: &mut Session, arg: &[u8]) {
    if arg.is_empty() {
        let text = format!("Your current UMASK is {}", verb::format_mode(session.umask));
        session.reply(200, text.as_bytes());
    } else if let Ok(mask) = verb::parse_mode(arg) {
        session.set_umask(mask);
        session.reply(
            200,
            format!("UMASK set to {}", verb::format_mode(mask)).as_bytes(),
        );
    } else {
        session.reply(501, b"SITE UMASK needs an octal mask such as 022.");
    }
}
