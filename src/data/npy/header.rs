//! The header of an array, checked before it is trusted.
//!
//! `npyz` reserves the header's length and multiplies the sizes of the shape unchecked. What
//! could make it allocate, overflow or recurse is therefore refused here, by the text alone.

use std::io::{self, Read};

use npyz::NpyHeader;

/// The longest header text in bytes, as in `numpy.load` (`max_header_size`).
const LONGEST: u32 = 10_000;

/// The most brackets that a header may nest: a plain type needs two.
const MOST_BRACKETS: usize = 16;

/// Why there is no header: what it holds, or that it could not be read.
pub(super) enum HeaderError {
    Content(String),
    Reading(io::Error),
}

/// Reads the header; also returns its length in bytes.
pub(super) fn read(reader: &mut dyn Read) -> Result<(NpyHeader, u64), HeaderError> {
    let mut bytes = read_some(reader, 8)?;
    if !bytes.starts_with(b"\x93NUMPY") {
        return content("it does not begin with the bytes 93 NUMPY");
    }
    let version_1 = bytes[6] == 1;
    let length = read_some(reader, if version_1 { 2 } else { 4 })?;
    let mut word = [0; 4];
    word[..length.len()].copy_from_slice(&length);
    let text_length = u32::from_le_bytes(word);
    if text_length > LONGEST {
        return content(&format!(
            "its header claims {text_length} bytes, more than {LONGEST}"
        ));
    }
    let text = read_some(reader, text_length.into())?;
    check_text(&text)?;
    bytes.extend(length);
    bytes.extend(text);
    let header = NpyHeader::from_reader(bytes.as_slice());
    let header = header.map_err(|error| HeaderError::Content(error.to_string()))?;
    Ok((header, bytes.len() as u64))
}

fn content<T>(reason: &str) -> Result<T, HeaderError> {
    Err(HeaderError::Content(reason.to_owned()))
}

fn read_some(reader: &mut dyn Read, count: u64) -> Result<Vec<u8>, HeaderError> {
    let mut bytes = Vec::new();
    let read = reader.take(count).read_to_end(&mut bytes);
    match read.map_err(HeaderError::Reading)? as u64 {
        read if read == count => Ok(bytes),
        _ => content("it ends within its header"),
    }
}

/// Plain characters, few brackets, and numbers whose product fits into 64 bits.
fn check_text(text: &[u8]) -> Result<(), HeaderError> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"{}'\",:()[]<>|=_ \n".contains(byte);
    if !text.iter().all(plain) {
        return content("its header has characters that are not of a plain array");
    }
    if text.iter().filter(|byte| b"([{".contains(byte)).count() > MOST_BRACKETS {
        return content("its header nests too deeply");
    }
    let text = String::from_utf8_lossy(text);
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let numbers = words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let product = numbers
        .map(str::parse::<u64>)
        .try_fold(1_u64, |product, number| {
            product.checked_mul(number.ok()?.max(1))
        });
    match product {
        Some(_) => Ok(()),
        None => content("its header has a number that is no size"),
    }
}
