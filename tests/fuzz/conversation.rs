//! The conversation with PAM's modules: any number of messages of any style with any text is answered or refused as a whole, and nothing
//! is lost or given twice.

use super::{
    Dialogue, ERROR_MSG, HEARD, MESSAGES, Message, PROMPT_ECHO_OFF, PROMPTS, Response, SUCCESS,
    TEXT_INFO, converse, give_back,
};
use std::ffi::{CString, c_int};
use std::time::Instant;
use zeroize::Zeroizing;

/// A byte of how many messages, a line for each: a byte of style, a text.
pub fn run(data: &[u8]) {
    let Some(([calls, secret], text)) = data.split_first_chunk::<2>() else {
        return;
    };
    let password = if secret % 8 == 0 {
        vec![b'a', 0, b'b']
    } else {
        vec![b's'; usize::from(*secret)]
    };
    let mut dialogue = Dialogue {
        begun: Instant::now(),
        password: Zeroizing::new(password.clone()),
        answered: 0,
        heard: Vec::new(),
    };
    for _ in 0..calls % 4 + 1 {
        call(&mut dialogue, text, &password);
        assert!(dialogue.answered <= PROMPTS);
        assert!(dialogue.heard.len() <= HEARD);
        assert!(!dialogue.heard.iter().any(u8::is_ascii_control));
    }
}

fn call(dialogue: &mut Dialogue, text: &[u8], password: &[u8]) {
    let lines: Vec<(c_int, Option<CString>)> = text
        .split(|byte| *byte == b'\n')
        .map(|line| match line.split_first() {
            Some((style, rest)) => (c_int::from(*style) - 48, CString::new(rest).ok()),
            None => (TEXT_INFO, None),
        })
        .collect();
    let messages: Vec<Message> = lines
        .iter()
        .map(|(style, text)| Message {
            style: *style,
            text: text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr()),
        })
        .collect();
    let mut pointers: Vec<*const Message> = messages
        .iter()
        .map(|message| {
            if message.style == 40 {
                std::ptr::null()
            } else {
                &raw const *message
            }
        })
        .collect();
    let mut answers: *mut Response = std::ptr::null_mut();
    let before = dialogue.answered;
    let count = c_int::try_from(pointers.len()).unwrap();
    let code = converse(
        count,
        pointers.as_mut_ptr(),
        &raw mut answers,
        (&raw mut *dialogue).cast(),
    );
    if code != SUCCESS {
        assert!(answers.is_null(), "refused, and yet answers");
        return;
    }
    assert!(pointers.len() <= MESSAGES && !answers.is_null());
    let mut prompts = 0;
    for (at, message) in messages.iter().enumerate() {
        // SAFETY: `converse` has made as many answers as there are messages.
        let answer = unsafe { &*answers.add(at) };
        assert_eq!(answer.code, 0);
        if answer.text.is_null() {
            assert!(message.style == TEXT_INFO || message.style == ERROR_MSG);
        } else {
            prompts += 1;
            assert_eq!(message.style, PROMPT_ECHO_OFF);
            // SAFETY: a string of strdup's.
            assert_eq!(
                unsafe { std::ffi::CStr::from_ptr(answer.text) }.to_bytes(),
                password
            );
        }
    }
    assert_eq!(dialogue.answered, before + prompts);
    give_back(answers, pointers.len());
}
