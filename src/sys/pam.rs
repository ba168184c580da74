//! libpam, opened at run time, so that the build needs no headers and hosts without PAM work; nursery and auth.

#[cfg(fuzzing)]
#[path = "../../tests/fuzz/conversation.rs"]
pub mod fuzz;

use super::dl::{self, Unopened};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::time::{Duration, Instant};
use zeroize::{Zeroize, Zeroizing};

/// PAM_SUCCESS.
const SUCCESS: c_int = 0;
/// PAM_SYSTEM_ERR, for what goes wrong on our side.
const SYSTEM_ERR: c_int = 4;
/// PAM_BUF_ERR.
const BUF_ERR: c_int = 5;
/// PAM_CONV_ERR.
const CONV_ERR: c_int = 19;
/// PAM_ESTABLISH_CRED and PAM_DELETE_CRED.
const ESTABLISH_CRED: c_int = 2;
const DELETE_CRED: c_int = 4;

/// Items (pam_set_item(3)).
const PAM_USER: c_int = 2;
const PAM_TTY: c_int = 3;
const PAM_RHOST: c_int = 4;
const PAM_RUSER: c_int = 8;
const PAM_FAIL_DELAY: c_int = 10;

/// Message styles (pam_conv(3)).
const PROMPT_ECHO_OFF: c_int = 1;
const ERROR_MSG: c_int = 3;
const TEXT_INFO: c_int = 4;

/// Most messages of one call and most hidden prompts of one login that are answered (attacks B-150).
const MESSAGES: usize = 32;
const PROMPTS: usize = 4;
/// Most bytes of messages kept for the log.
const HEARD: usize = 1024;

#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

#[repr(C)]
struct Conv {
    call: extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conv, *mut *mut c_void) -> c_int;
type End = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
type SetItem = unsafe extern "C" fn(*mut c_void, c_int, *const c_void) -> c_int;
type GetItem = unsafe extern "C" fn(*const c_void, c_int, *mut *const c_void) -> c_int;
type Step = unsafe extern "C" fn(*mut c_void, c_int) -> c_int;
type StrError = unsafe extern "C" fn(*mut c_void, c_int) -> *const c_char;

/// The functions of libpam that are used.
#[derive(Debug, Clone, Copy)]
pub struct Pam {
    start: Start,
    end: End,
    set_item: SetItem,
    get_item: GetItem,
    authenticate: Step,
    acct_mgmt: Step,
    setcred: Step,
    open_session: Step,
    close_session: Step,
    strerror: StrError,
}

/// What was said in a login, and what there is to answer.
struct Dialogue {
    begun: Instant,
    password: Zeroizing<Vec<u8>>,
    answered: usize,
    heard: Vec<u8>,
}

/// A login that runs.
pub struct Login<'a> {
    pam: &'a Pam,
    handle: *mut c_void,
    status: c_int,
    dialogue: Box<Dialogue>,
    // The library keeps a pointer to the conversation for as long as the handle lives.
    _conversation: Box<Conv>,
}

/// The step at which PAM said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The function.
    pub step: &'static str,
    /// Its code (`_pam_types.h`).
    pub code: i32,
    /// What the library says the code means; empty where it says nothing.
    pub meaning: &'static CStr,
    /// What modules have said.
    pub heard: Vec<u8>,
}

impl Refused {
    /// At this step.
    pub fn new(step: &'static str, code: i32, meaning: &'static CStr) -> Self {
        let heard = Vec::new();
        Self {
            step,
            code,
            meaning,
            heard,
        }
    }
}

/// Turns a symbol into a function pointer.
macro_rules! function {
    ($library:expr, $name:expr, $type:ty) => {{
        let symbol = dl::symbol($library, $name)?;
        // SAFETY: the named function has this signature in every libpam.so.0 (pam(3)).
        unsafe { std::mem::transmute::<*mut c_void, $type>(symbol) }
    }};
}

impl Pam {
    /// Opens libpam; `None` when the host has none.
    ///
    /// # Errors
    /// It has one, or may have, which cannot be loaded now: why.
    pub fn load() -> Result<Option<Self>, String> {
        match dl::open(c"libpam.so.0") {
            Ok(library) => Self::of(library)
                .map(Some)
                .ok_or("a function is not there".to_owned()),
            Err(Unopened::Missing) => Ok(None),
            Err(Unopened::Failed(why)) => Err(why),
        }
    }

    fn of(library: dl::Library) -> Option<Self> {
        Some(Self {
            start: function!(library, c"pam_start", Start),
            end: function!(library, c"pam_end", End),
            set_item: function!(library, c"pam_set_item", SetItem),
            get_item: function!(library, c"pam_get_item", GetItem),
            authenticate: function!(library, c"pam_authenticate", Step),
            acct_mgmt: function!(library, c"pam_acct_mgmt", Step),
            setcred: function!(library, c"pam_setcred", Step),
            open_session: function!(library, c"pam_open_session", Step),
            close_session: function!(library, c"pam_close_session", Step),
            strerror: function!(library, c"pam_strerror", StrError),
        })
    }

    /// Loads the modules of a service and keeps them for as long as this process and its children live. None of their functions is called
    /// (pam_start(3) of Linux-PAM reads the service's file and opens its modules); what their constructors do, they do.
    pub fn keep_modules(&self, service: &CStr) {
        let conversation = Conv {
            call: converse,
            data: std::ptr::null_mut(),
        };
        let mut handle = std::ptr::null_mut();
        let (place, said) = (&raw mut handle, &raw const conversation);
        // SAFETY: the strings end in NUL and are copied by the library, as is the conversation, which answers nothing without data. The
        // handle is never ended, so that what it has opened stays open.
        unsafe {
            (self.start)(service.as_ptr(), std::ptr::null(), said, place);
            // What it had to say may have opened a connection to the system's log, whose number is another descriptor's in a child.
            libc::closelog();
        }
    }

    /// Begins a login; `rhost` is the client's numeric address.
    ///
    /// # Errors
    /// A NUL in a text, or PAM's refusal.
    pub fn login(
        &self,
        service: &[u8],
        user: &[u8],
        password: &[u8],
        rhost: &[u8],
    ) -> Result<Login<'_>, Refused> {
        let text = |bytes: &[u8]| {
            let nul = |_| Refused::new("pam_start", SYSTEM_ERR, c"a NUL byte in a name");
            CString::new(bytes).map_err(nul)
        };
        let (service, user, rhost) = (text(service)?, text(user)?, text(rhost)?);
        let mut dialogue = Box::new(Dialogue {
            begun: Instant::now(),
            password: Zeroizing::new(password.to_vec()),
            answered: 0,
            heard: Vec::new(),
        });
        let conversation = Box::new(Conv {
            call: converse,
            data: (&raw mut *dialogue).cast(),
        });
        let mut handle = std::ptr::null_mut();
        let (place, said) = (&raw mut handle, &raw const *conversation);
        // Modules speak to the system's log under the program's name, and that lies where ps(1) is shown another one (`setproctitle_enable`).
        // SAFETY: the string ends in NUL and is there for ever.
        unsafe { libc::openlog(c"vsftpd".as_ptr(), 0, libc::LOG_AUTHPRIV) };
        // SAFETY: the strings end in NUL and are copied by the library; the conversation lives in the returned value, which
        // ends the handle before it goes.
        let code = unsafe { (self.start)(service.as_ptr(), user.as_ptr(), said, place) };
        if code != SUCCESS || handle.is_null() {
            return Err(Refused::new("pam_start", code, c"cannot start"));
        }
        let mut login = Login {
            pam: self,
            handle,
            status: SUCCESS,
            dialogue,
            _conversation: conversation,
        };
        login.set(PAM_RHOST, &rhost)?;
        login.set(PAM_TTY, c"ftp")?;
        login.set(PAM_RUSER, &user)?;
        login.delay_from_the_beginning();
        Ok(login)
    }
}

impl Login<'_> {
    /// Checks the password, gives the name PAM now calls the user, checks the account and establishes credentials.
    ///
    /// # Errors
    /// The step that refused.
    pub fn run(&mut self) -> Result<Vec<u8>, Refused> {
        self.step("pam_authenticate", self.pam.authenticate, 0)?;
        let name = self.user()?;
        self.step("pam_acct_mgmt", self.pam.acct_mgmt, 0)?;
        self.step("pam_setcred", self.pam.setcred, ESTABLISH_CRED)?;
        Ok(name)
    }

    /// Opens a session for a login that [`Login::run`] has allowed. A refusal takes the credentials back.
    ///
    /// # Errors
    /// A module refused.
    pub fn open_session(&mut self) -> Result<(), Refused> {
        let opened = self.step("pam_open_session", self.pam.open_session, 0);
        if opened.is_err() {
            // The refusal is what matters, and stays the login's last status.
            let refused = self.status;
            let _ = self.step("pam_setcred", self.pam.setcred, DELETE_CRED);
            self.status = refused;
        }
        opened
    }

    /// Closes the session that [`Login::open_session`] opened and takes the credentials back, also if closing fails.
    ///
    /// # Errors
    /// The first step that failed.
    pub fn close_session(&mut self) -> Result<(), Refused> {
        let closed = self.step("pam_close_session", self.pam.close_session, 0);
        closed.and(self.step("pam_setcred", self.pam.setcred, DELETE_CRED))
    }

    /// Wipes the password: for a login that lives on when everything that asks for it is over.
    pub fn forget_password(&mut self) {
        self.dialogue.password.zeroize();
    }

    fn step(&mut self, name: &'static str, step: Step, flags: c_int) -> Result<(), Refused> {
        // SAFETY: the handle is live, and the function is one of libpam's that take it and flags.
        let code = unsafe { step(self.handle, flags) };
        self.check(name, code)
    }

    fn set(&mut self, item: c_int, value: &CStr) -> Result<(), Refused> {
        // SAFETY: the handle is live; these items are strings, which the library copies.
        let code = unsafe { (self.pam.set_item)(self.handle, item, value.as_ptr().cast()) };
        self.check("pam_set_item", code)
    }

    fn delay_from_the_beginning(&mut self) {
        let function: extern "C" fn(c_int, c_uint, *mut c_void) = delayed;
        // SAFETY: the handle is live; this item is a function of that type (pam_fail_delay(3)). A library that does not know it waits by
        // itself.
        unsafe { (self.pam.set_item)(self.handle, PAM_FAIL_DELAY, function as *const c_void) };
    }

    fn user(&mut self) -> Result<Vec<u8>, Refused> {
        let mut item: *const c_void = std::ptr::null();
        // SAFETY: the handle is live and `item` is a place for one pointer.
        let code = unsafe { (self.pam.get_item)(self.handle, PAM_USER, &raw mut item) };
        self.check("pam_get_item", code)?;
        if item.is_null() {
            return Err(Refused::new("pam_get_item", code, c"no user"));
        }
        // SAFETY: PAM_USER is a string that ends in NUL and lives until the item is set again.
        Ok(unsafe { CStr::from_ptr(item.cast()) }.to_bytes().to_vec())
    }

    fn check(&mut self, step: &'static str, code: c_int) -> Result<(), Refused> {
        self.status = code;
        if code == SUCCESS {
            return Ok(());
        }
        // SAFETY: the handle is live; the result is a static string or null.
        let said = unsafe { (self.pam.strerror)(self.handle, code) };
        // SAFETY: where it is not null it is a string that ends in NUL.
        let meaning = (!said.is_null()).then(|| unsafe { CStr::from_ptr(said) });
        let heard = std::mem::take(&mut self.dialogue.heard);
        let refused = Refused::new(step, code, meaning.unwrap_or_default());
        Err(Refused { heard, ..refused })
    }
}

impl Drop for Login<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is live and is not used again.
        unsafe { (self.pam.end)(self.handle, self.status) };
    }
}

/// Waits after a refusal, as long as modules have asked for (pam_fail_delay(3)), counted from the beginning of the login: modules take their
/// time for users that are there, and none for others, which waiting after them would leave to be seen (attacks B-084).
extern "C" fn delayed(status: c_int, micros: c_uint, data: *mut c_void) {
    if status == SUCCESS || data.is_null() {
        return;
    }
    // SAFETY: `data` is the Dialogue given to pam_start, alive and used by nobody else during the call.
    let begun = unsafe { (*data.cast::<Dialogue>()).begun };
    let delay = Duration::from_micros(micros.into());
    std::thread::sleep(delay.saturating_sub(begun.elapsed()));
}

/// Answers PAM's prompts: hidden ones with the password, messages with nothing; anything else is an error.
extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    out: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    if count == 0 || count > MESSAGES || messages.is_null() || out.is_null() || data.is_null() {
        return CONV_ERR;
    }
    // SAFETY: `data` is the Dialogue given to pam_start, alive and used by nobody else during the call.
    let dialogue = unsafe { &mut *data.cast::<Dialogue>() };
    // SAFETY: calloc takes two sizes; the library frees the array with free(3).
    let answers = unsafe { libc::calloc(count, size_of::<Response>()) }.cast::<Response>();
    if answers.is_null() {
        return BUF_ERR;
    }
    for index in 0..count {
        // SAFETY: Linux-PAM passes an array of `count` pointers to messages.
        let message = unsafe { *messages.add(index) };
        // SAFETY: checked for null; a message is a live struct during the call.
        let known = (!message.is_null()).then(|| unsafe { &*message });
        let answer = match known {
            Some(message) if message.style == PROMPT_ECHO_OFF && dialogue.answered < PROMPTS => {
                dialogue.answered += 1;
                duplicate(&dialogue.password)
            }
            Some(message) if matches!(message.style, TEXT_INFO | ERROR_MSG) => {
                hear(dialogue, message.text);
                continue;
            }
            Some(_) | None => std::ptr::null_mut(),
        };
        if answer.is_null() {
            give_back(answers, index);
            return CONV_ERR;
        }
        // SAFETY: `index` is below `count`, the length of the array.
        unsafe { (*answers.add(index)).text = answer };
    }
    // SAFETY: `out` is a place for one pointer, checked for null.
    unsafe { *out = answers };
    SUCCESS
}

/// A copy of the password that the library will free; null when it holds a NUL or memory is short.
fn duplicate(password: &[u8]) -> *mut c_char {
    let Ok(text) = CString::new(password) else {
        return std::ptr::null_mut();
    };
    // SAFETY: the string ends in NUL.
    let copy = unsafe { libc::strdup(text.as_ptr()) };
    text.into_bytes().zeroize();
    copy
}

/// Keeps what a module says, bounded.
fn hear(dialogue: &mut Dialogue, text: *const c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: not null, so a string that ends in NUL.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes().iter();
    let room = HEARD.saturating_sub(dialogue.heard.len());
    let shown = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
    dialogue.heard.extend(bytes.take(room).map(shown));
}

/// Frees answers that will not be given, wiped.
fn give_back(answers: *mut Response, filled: usize) {
    for index in 0..filled {
        // SAFETY: `index` is below the length of the array.
        let text = unsafe { (*answers.add(index)).text };
        if !text.is_null() {
            // SAFETY: the text came from strdup, so it has strlen + 1 bytes, and is freed once.
            unsafe {
                let length = libc::strlen(text);
                std::slice::from_raw_parts_mut(text.cast::<u8>(), length).zeroize();
                libc::free(text.cast());
            }
        }
    }
    // SAFETY: the array came from calloc and is freed once.
    unsafe { libc::free(answers.cast()) };
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Dialogue, SUCCESS, SYSTEM_ERR, delayed};
    use std::time::{Duration, Instant};
    use zeroize::Zeroizing;

    #[test]
    fn what_a_login_has_taken_is_part_of_its_delay() {
        const HOUR: Duration = Duration::from_secs(3600);
        let start = Instant::now();
        let mut dialogue = Dialogue {
            begun: start.checked_sub(HOUR).unwrap_or(start),
            password: Zeroizing::new(Vec::new()),
            answered: 0,
            heard: Vec::new(),
        };
        let spent = u32::try_from(start.duration_since(dialogue.begun).as_micros()).unwrap();
        delayed(SYSTEM_ERR, spent, (&raw mut dialogue).cast());
        delayed(SUCCESS, u32::MAX, (&raw mut dialogue).cast());
        assert!(start.elapsed() < HOUR);
        dialogue.begun = Instant::now();
        delayed(SYSTEM_ERR, 20_000, (&raw mut dialogue).cast());
        assert!(dialogue.begun.elapsed() >= Duration::from_millis(20));
    }
}
