//! LANG (RFC 2640 §4).

use crate::support::{Client, Host, Server};

#[test]
fn replies_in_chinese() {
    let host = Host::new();
    let _server = Server::start(&host, "log_ftp_protocol=YES\n");
    let mut c = Client::alice();
    assert!(c.cmd("FEAT").text().contains("\r\n LANG EN*;ZH\r\n"));
    c.says("LANG zh-CN", "200 现在使用中文回复。");
    assert!(c.cmd("FEAT").text().contains("\r\n LANG EN;ZH*\r\n"));
    c.says("PWD", "257 \"/home/alice\" 是当前目录");
    c.says("CWD nowhere", "550 无法进入目录。");
    // What programs read stays.
    assert_eq!(c.fetch("RETR f"), b"hello world\n");
    c.pasv();
    c.says("SIZE f", "213 12");
    c.says("LANG de", "504 LANG knows EN and ZH.");
    c.says("NOOP", "200 NOOP 成功。");
    c.says("LANG", "200 Replies are in English.");
    c.says("NOOP", "200 NOOP ok.");
    crate::logged("\"550 Failed to change directory.\"");
}

#[test]
fn chinese_in_a_code_page() {
    let host = Host::new();
    let _server = Server::start(&host, "client_charset=GBK\n");
    let mut c = Client::alice();
    c.cmd("LANG ZH");
    c.send(b"NOOP\r\n");
    assert_eq!(c.reply().raw, b"200 NOOP \xb3\xc9\xb9\xa6\xa1\xa3");
}

/// Who has no characters for a language is answered in English: without the mend with what stands for such characters in names.
#[test]
fn chinese_where_the_code_page_has_none() {
    let host = Host::new();
    let _server = Server::start(&host, "client_charset=windows-1252\n");
    let mut c = Client::alice();
    c.says("LANG ZH", "200 Replies are in Chinese.");
    c.says("NOOP", "200 NOOP ok.");
    c.says("PWD", "257 \"/home/alice\" is the current directory");
    c.says("OPTS UTF8 ON", "200 始终使用 UTF-8。");
    c.says("NOOP", "200 NOOP 成功。");
}
