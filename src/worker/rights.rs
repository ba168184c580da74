//! What a session may do, of what its settings and its user say: worker, when it has given up everything, and the reader that compiles
//! filters.

use super::Rules;
use crate::config::Config;
use crate::sys::seccomp::Rights;

/// What a session may change: the gates of the commands that do (reference §3.4), as far as no command line is needed to know.
pub fn rights(config: &Config, rules: Rules) -> Rights {
    let local = rules == Rules::Local;
    let write = |anonymous_may: bool| config.write_enable && (local || anonymous_may);
    let alter = write(config.anon_other_write_enable);
    let upload = alter || write(config.anon_upload_enable);
    Rights {
        upload,
        make: write(config.anon_mkdir_write_enable),
        alter,
        chmod: local && config.write_enable && config.chmod_enable,
        publish: config.atomic_uploads && upload,
        sync: config.fsync_uploads && upload,
    }
}

/// Whether a session looks names up with the host's name service.
pub fn asks_the_host(config: &Config, chroot: bool) -> bool {
    !chroot && (config.text_userdb_names || config.tilde_user_enable)
}
