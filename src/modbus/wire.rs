//! The few shapes that PDU bodies are made of. Everything is checked for its exact length.

use super::pdu::DecodeError;

/// Two big-endian words and nothing else.
pub(super) fn pair(body: &[u8]) -> Result<(u16, u16), DecodeError> {
    match *body {
        [a, b, c, d] => Ok((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
        _ if body.len() < 4 => Err(DecodeError::TooShort),
        _ => Err(DecodeError::Trailing),
    }
}

/// An address and a count of 1..=`max`, and nothing else.
pub(super) fn range(body: &[u8], max: u16) -> Result<(u16, u16), DecodeError> {
    let (address, count) = pair(body)?;
    Ok((address, quantity(count, max)?))
}

/// `count`, when it is within 1..=`max`.
pub(super) fn quantity(count: u16, max: u16) -> Result<u16, DecodeError> {
    if (1..=max).contains(&count) { Ok(count) } else { Err(DecodeError::Quantity(count)) }
}

/// A byte count and exactly so many bytes.
pub(super) fn counted(body: &[u8]) -> Result<&[u8], DecodeError> {
    let (&count, bytes) = body.split_first().ok_or(DecodeError::TooShort)?;
    match bytes.len().cmp(&usize::from(count)) {
        std::cmp::Ordering::Less => Err(DecodeError::TooShort),
        std::cmp::Ordering::Equal => Ok(bytes),
        std::cmp::Ordering::Greater => Err(DecodeError::Trailing),
    }
}

/// The byte count of `bytes`, which came from [`counted`], for an error.
pub(super) fn byte_count(bytes: &[u8]) -> DecodeError {
    DecodeError::ByteCount(u8::try_from(bytes.len()).unwrap_or(u8::MAX))
}

/// The state a single coil is set to (V1.1b3, 6.5).
pub(super) fn coil(value: u16) -> Result<bool, DecodeError> {
    match value {
        0x0000 => Ok(false),
        0xff00 => Ok(true),
        other => Err(DecodeError::Value(other)),
    }
}

/// Big-endian words; a last odd byte is not looked at.
pub(super) fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// Function code and big-endian words.
pub(super) fn head(function: u8, fields: &[u16]) -> Vec<u8> {
    let mut pdu = vec![function];
    push_words(&mut pdu, fields);
    pdu
}

/// Appends big-endian words.
pub(super) fn push_words(pdu: &mut Vec<u8>, values: &[u16]) {
    pdu.extend(values.iter().flat_map(|value| value.to_be_bytes()));
}

/// Appends a byte count and at most `max` bytes (`max` is at most 250).
pub(super) fn push_counted(pdu: &mut Vec<u8>, bytes: &[u8], max: u8) {
    let count = u8::try_from(bytes.len()).unwrap_or(max).min(max);
    pdu.push(count);
    pdu.extend(bytes.iter().take(usize::from(count)));
}

/// Appends a byte count and at most `max` words (`max` is at most 125).
pub(super) fn push_counted_words(pdu: &mut Vec<u8>, values: &[u16], max: u16) {
    let values = cut(values, max);
    pdu.push(u8::try_from(values.len() * 2).unwrap_or(u8::MAX));
    push_words(pdu, values);
}

/// At most `max` leading values.
pub(super) fn cut(values: &[u16], max: u16) -> &[u16] {
    values.get(..usize::from(max)).unwrap_or(values)
}
