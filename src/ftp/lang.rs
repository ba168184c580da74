//! Replies in other languages than English (RFC 2640 §4): the codes and what programs read stay; runs in worker.

use std::borrow::Cow;

/// The language of replies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    /// English, as everything is written.
    #[default]
    English,
    /// Chinese, in simplified characters.
    Chinese,
}

impl Language {
    /// By a tag of RFC 5646, of which the language alone counts.
    #[must_use]
    pub fn tagged(tag: &[u8]) -> Option<Self> {
        let first = tag.split(|byte| *byte == b'-').next()?;
        if first.eq_ignore_ascii_case(b"en") {
            Some(Self::English)
        } else if first.eq_ignore_ascii_case(b"zh") {
            Some(Self::Chinese)
        } else {
            None
        }
    }

    /// The text of FEAT.
    #[must_use]
    pub fn feature(self) -> &'static str {
        match self {
            Self::English => "LANG EN*;ZH",
            Self::Chinese => "LANG EN;ZH*",
        }
    }

    /// A reply's text in this language; one that has none stays English.
    #[must_use]
    pub fn say(self, text: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::English => Cow::Borrowed(text),
            Self::Chinese => chinese(text),
        }
    }
}

fn chinese(text: &[u8]) -> Cow<'_, [u8]> {
    if let Ok(at) = WHOLE.binary_search_by(|(english, _)| english.as_bytes().cmp(text))
        && let Some((_, chinese)) = WHOLE.get(at)
    {
        return Cow::Borrowed(chinese.as_bytes());
    }
    for (begin, end, before, after) in AROUND {
        let inner = text
            .strip_prefix(begin.as_bytes())
            .and_then(|rest| rest.strip_suffix(end.as_bytes()));
        if let Some(inner) = inner {
            return Cow::Owned([before.as_bytes(), inner, after.as_bytes()].concat());
        }
    }
    Cow::Borrowed(text)
}

/// What stands around a name or number: English before and after, Chinese before and after. A quoted path stays in front (RFC 959).
const AROUND: &[(&str, &str, &str, &str)] = &[
    ("\"", "\" is the current directory", "\"", "\" 是当前目录"),
    ("\"", "\" created", "\"", "\" 已创建"),
    (
        "Opening BINARY mode data connection for ",
        "",
        "以二进制模式打开数据连接：",
        "",
    ),
    (
        "Opening ASCII mode data connection for ",
        "",
        "以 ASCII 模式打开数据连接：",
        "",
    ),
    (
        "Restart position accepted (",
        ").",
        "已接受续传位置（",
        "）。",
    ),
    ("Your current UMASK is ", "", "当前 UMASK 为 ", ""),
    ("UMASK set to ", "", "UMASK 已设为 ", ""),
];

/// Sorted by the English text.
const WHOLE: &[(&str, &str)] = &[
    ("ABOR successful.", "传输已中止。"),
    ("ACCT not implemented.", "未实现 ACCT。"),
    ("ALLO command ignored.", "已忽略 ALLO 命令。"),
    ("Already logged in.", "已经登录。"),
    ("Always in UTF8 mode.", "始终使用 UTF-8。"),
    ("Any password will do.", "任何密码均可。"),
    ("Bad EPRT command.", "EPRT 命令有误。"),
    ("Bad EPRT protocol.", "EPRT 协议有误。"),
    ("Bad MODE command.", "MODE 命令有误。"),
    ("Bad STRU command.", "STRU 命令有误。"),
    ("Bad network protocol.", "网络协议有误。"),
    ("Bad restart position.", "续传位置有误。"),
    ("CLNT needs a name.", "CLNT 需要一个名称。"),
    (
        "CSID needs Name=value; and so on.",
        "CSID 需要 Name=value; 等形式。",
    ),
    ("Can't change from guest user.", "匿名用户不能更换用户。"),
    ("Can't change to another user.", "不能更换用户。"),
    ("Checksum aborted.", "校验计算已中止。"),
    (
        "Compressed data is damaged or incomplete.",
        "压缩数据已损坏或不完整。",
    ),
    ("Could not change the mode.", "无法更改权限。"),
    ("Could not create file.", "无法创建文件。"),
    ("Could not get facts.", "无法取得文件信息。"),
    (
        "Could not get file modification time.",
        "无法取得文件修改时间。",
    ),
    ("Could not get file size.", "无法取得文件大小。"),
    ("Could not get the room left.", "无法取得剩余空间。"),
    (
        "Could not set file modification time.",
        "无法设置文件修改时间。",
    ),
    ("Create directory operation failed.", "创建目录失败。"),
    (
        "Data timeout. Reconnect. Sorry.",
        "数据传输超时，请重新连接。",
    ),
    ("Delete operation failed.", "删除失败。"),
    ("Delete operation successful.", "删除成功。"),
    ("Directory send OK.", "目录已发送。"),
    ("Directory successfully changed.", "目录已更改。"),
    (
        "EPRT command successful. Consider using EPSV.",
        "EPRT 命令成功，建议使用 EPSV。",
    ),
    ("EPSV ALL ok.", "EPSV ALL 成功。"),
    ("Failed to change directory.", "无法进入目录。"),
    ("Failed to establish connection.", "无法建立连接。"),
    ("Failed to open directory.", "无法打开目录。"),
    ("Failed to open file.", "无法打开文件。"),
    ("Failure establishing connection.", "建立连接失败。"),
    ("Failure reading local file.", "读取本地文件失败。"),
    ("Failure reading network stream.", "读取网络数据失败。"),
    ("Failure waiting for the file.", "等待文件失败。"),
    ("Failure writing network stream.", "写入网络数据失败。"),
    ("Failure writing to local file.", "写入本地文件失败。"),
    (
        "File is in use by another session.",
        "文件正被另一会话使用。",
    ),
    ("File modification time set.", "已设置文件修改时间。"),
    (
        "Fractions of a second are not kept. Send none.",
        "不保存秒的小数部分，请不要发送。",
    ),
    ("Goodbye.", "再见。"),
    ("HOST is for before login.", "HOST 只能在登录之前使用。"),
    ("HOST not implemented.", "未实现 HOST。"),
    ("Here comes the directory listing.", "开始发送目录。"),
    ("Illegal EPRT command.", "EPRT 命令不合法。"),
    ("Illegal PORT command.", "PORT 命令不合法。"),
    ("Input line too long.", "命令行过长。"),
    ("Login successful.", "登录成功。"),
    (
        "MFF needs facts it can change, and a name.",
        "MFF 需要可更改的属性和文件名。",
    ),
    (
        "MFMT needs a time YYYYMMDDHHMMSS and a name.",
        "MFMT 需要时间 YYYYMMDDHHMMSS 和文件名。",
    ),
    ("MLSD needs a directory.", "MLSD 需要一个目录。"),
    (
        "MODE Z takes LEVEL and 0 to 9.",
        "MODE Z 的参数是 LEVEL 和 0 到 9。",
    ),
    ("Mode set to S.", "模式已设为 S。"),
    ("Mode set to Z.", "模式已设为 Z。"),
    ("NOOP ok.", "NOOP 成功。"),
    (
        "No support for resume of ASCII transfer.",
        "ASCII 传输不支持续传。",
    ),
    ("No transfer to ABOR.", "没有可中止的传输。"),
    ("Not a directory to write in.", "不是可写的目录。"),
    ("Noted.", "已记录。"),
    ("Ok to send data.", "可以发送数据。"),
    ("Option not understood.", "无法识别的选项。"),
    (
        "PORT command successful. Consider using PASV.",
        "PORT 命令成功，建议使用 PASV。",
    ),
    ("Permission denied.", "权限不足。"),
    ("RANG is for RETR and HASH.", "RANG 仅用于 RETR 和 HASH。"),
    (
        "RANG needs the first and the last byte.",
        "RANG 需要首字节和末字节的位置。",
    ),
    ("REIN not implemented.", "未实现 REIN。"),
    ("RNFR command failed.", "RNFR 命令失败。"),
    ("RNFR required first.", "请先使用 RNFR。"),
    ("Ready for RNTO.", "请继续发送 RNTO。"),
    ("Remove directory operation failed.", "删除目录失败。"),
    ("Remove directory operation successful.", "删除目录成功。"),
    ("Rename failed.", "重命名失败。"),
    ("Rename successful.", "重命名成功。"),
    ("Replies are in Chinese.", "现在使用中文回复。"),
    ("SITE CHMOD command failed.", "SITE CHMOD 命令失败。"),
    ("SITE CHMOD command ok.", "SITE CHMOD 命令成功。"),
    ("SITE CHMOD needs 2 arguments.", "SITE CHMOD 需要两个参数。"),
    (
        "SITE CHMOD needs an octal mode such as 644.",
        "SITE CHMOD 需要八进制权限，例如 644。",
    ),
    (
        "SITE UMASK needs an octal mask such as 022.",
        "SITE UMASK 需要八进制掩码，例如 022。",
    ),
    ("SITE UTIME command ok.", "SITE UTIME 命令成功。"),
    (
        "SITE UTIME needs a time and a name, or a name, three times and UTC.",
        "SITE UTIME 需要时间和文件名，或文件名、三个时间和 UTC。",
    ),
    ("SMNT not implemented.", "未实现 SMNT。"),
    (
        "Security: Bad IP connecting.",
        "安全检查：连接来自错误的地址。",
    ),
    ("Structure set to F.", "结构已设为 F。"),
    ("Switching to ASCII mode.", "已切换到 ASCII 模式。"),
    ("Switching to Binary mode.", "已切换到二进制模式。"),
    ("The range is not within the file.", "范围超出文件。"),
    ("The whole file.", "整个文件。"),
    ("Timeout.", "超时。"),
    (
        "Too many bytes for a checksum.",
        "文件过大，无法计算校验值。",
    ),
    (
        "Too much compressed. Use MODE S.",
        "压缩数据展开后过大。请使用 MODE S。",
    ),
    ("Transfer complete.", "传输完成。"),
    (
        "Transfer done (but failed to open directory).",
        "传输完成（但无法打开目录）。",
    ),
    ("Unknown SITE command.", "未知的 SITE 命令。"),
    ("Unknown algorithm.", "未知的算法。"),
    ("Unknown command.", "未知的命令。"),
    ("Unrecognised TYPE command.", "无法识别的 TYPE 命令。"),
    ("Use PORT or PASV first.", "请先使用 PORT 或 PASV。"),
];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        for pair in WHOLE.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{} {}", pair[0].0, pair[1].0);
        }
    }

    #[test]
    fn tags() {
        for zh in [&b"zh"[..], b"ZH", b"zh-CN", b"zh-Hans-CN"] {
            assert_eq!(Language::tagged(zh), Some(Language::Chinese));
        }
        assert_eq!(Language::tagged(b"en-GB"), Some(Language::English));
        for none in [&b""[..], b"de", b"zho", b"-zh"] {
            assert_eq!(Language::tagged(none), None);
        }
    }

    #[test]
    fn texts() {
        let zh = |text: &str| {
            String::from_utf8(Language::Chinese.say(text.as_bytes()).into_owned()).unwrap()
        };
        assert_eq!(zh("Transfer complete."), "传输完成。");
        assert_eq!(
            zh("\"/a b\" is the current directory"),
            "\"/a b\" 是当前目录"
        );
        assert_eq!(
            zh("Restart position accepted (5)."),
            "已接受续传位置（5）。"
        );
        assert_eq!(
            zh("Entering Passive Mode (1,2,3,4,5,6)."),
            "Entering Passive Mode (1,2,3,4,5,6)."
        );
        assert_eq!(zh(""), "");
    }
}
