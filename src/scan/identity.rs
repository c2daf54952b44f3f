//! What a device says about itself: device identification (function 43), server id (function 17), the SunSpec common block.
//!
//! Reads texts out of bytes that nobody vouches for: they are cut, and what does not print is left to whoever shows them.

use std::fmt;

/// Texts are cut here; no name is longer.
const TEXT_MAX: usize = 64;

/// What a device says about itself; `None` where it says nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// Who made it.
    pub vendor: Option<String>,
    /// What it is: product code, product name or model.
    pub product: Option<String>,
    /// Hardware or firmware revision.
    pub revision: Option<String>,
    /// Serial number (SunSpec).
    pub serial: Option<String>,
    /// The answer to "report server id" (function 17), as text where it is one, else in hexadecimal.
    pub server_id: Option<String>,
    /// Where the SunSpec marker stands, and the models that follow it.
    pub sunspec: Option<SunSpec>,
}

/// A SunSpec device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SunSpec {
    /// First register of the marker: 40000, 0 or 50000.
    pub base: u16,
    /// Ids of the models, in order.
    pub models: Vec<u16>,
}

impl Identity {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Identity::default()
    }

    /// Takes one object of a device identification (facts/devices.md 6.2). What is known already stays: the mandatory objects come first.
    pub fn add_object(&mut self, id: u8, bytes: &[u8]) {
        let place = match id {
            0 => &mut self.vendor,
            1 | 4 | 5 => &mut self.product,
            2 => &mut self.revision,
            _ => return,
        };
        let Some(text) = text(bytes) else { return };
        match place {
            // Product code, product name and model are all names of it.
            Some(known) if id > 2 && !known.contains(&text) && known.len() + text.len() < TEXT_MAX => {
                known.push(' ');
                known.push_str(&text);
            }
            Some(_) => {}
            None => *place = Some(text),
        }
    }

    /// Takes the answer to function 17.
    pub fn add_server_id(&mut self, bytes: &[u8]) {
        let printable = bytes.iter().filter(|byte| (0x20..0x7f).contains(*byte)).count();
        self.server_id = if printable >= 4 && printable * 4 >= bytes.len() * 3 {
            text(bytes.iter().copied().filter(|byte| (0x20..0x7f).contains(byte)).collect::<Vec<_>>())
        } else {
            let shown: String = bytes.iter().take(TEXT_MAX / 2).map(|byte| format!("{byte:02x}")).collect();
            (!shown.is_empty()).then_some(shown)
        };
    }

    /// Takes the SunSpec common model: the registers from its id on. One of 65 or 66 registers is as specified; a shorter one has only
    /// its text taken, all of it as the maker's name (facts/sax.md 1.3).
    pub fn add_common(&mut self, registers: &[u16]) {
        let bytes: Vec<u8> = registers.iter().flat_map(|register| register.to_be_bytes()).collect();
        let part = |from: usize, registers: usize| bytes.get(from * 2..(from + registers) * 2).and_then(text);
        match registers {
            [1, 65 | 66, ..] => {
                self.vendor = part(2, 16).or(self.vendor.take());
                self.product = part(18, 16).or(self.product.take());
                self.revision = part(42, 8).or(self.revision.take());
                self.serial = part(50, 16).or(self.serial.take());
            }
            [1, ..] => {
                let name: Vec<u8> = bytes.get(4..).unwrap_or_default().iter().copied().take_while(|b| (0x20..0x7f).contains(b)).collect();
                self.vendor = self.vendor.take().or_else(|| text(&name));
            }
            _ => {}
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<&str> = [&self.vendor, &self.product, &self.revision].into_iter().flatten().map(String::as_str).collect();
        let serial = self.serial.as_ref().map(|serial| format!("serial {serial}"));
        parts.extend(serial.as_deref());
        if parts.is_empty() {
            parts.extend(self.server_id.as_deref());
        }
        f.write_str(&parts.join(" "))?;
        match &self.sunspec {
            Some(SunSpec { base, models }) => {
                let models: Vec<_> = models.iter().map(u16::to_string).collect();
                let space = if parts.is_empty() { "" } else { " " };
                write!(f, "{space}(SunSpec at {base}")?;
                if !models.is_empty() {
                    write!(f, ", models {}", models.join(" "))?;
                }
                f.write_str(")")
            }
            None => Ok(()),
        }
    }
}

/// The text in these bytes, up to the first NUL, without the blanks around it; `None` where there is none.
fn text(bytes: impl AsRef<[u8]>) -> Option<String> {
    let bytes = bytes.as_ref();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()).min(TEXT_MAX);
    let text = String::from_utf8_lossy(bytes.get(..end)?);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, count: usize) -> Vec<u16> {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(count * 2, 0);
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn objects_of_a_device_identification() {
        let mut identity = Identity::default();
        for (id, bytes) in [(0, "Maker"), (1, "P-1"), (2, "v2"), (3, "http://x"), (4, "Product"), (5, "P-1"), (0x80, "private")] {
            identity.add_object(id, bytes.as_bytes());
        }
        assert_eq!(identity.to_string(), "Maker P-1 Product v2");
    }

    #[test]
    fn the_common_block_of_sunspec() {
        let mut identity = Identity::default();
        let block = [vec![1, 66], words("Maker", 16), words("Model", 16), words("", 8), words("1.2", 8), words("SN7", 16)].concat();
        identity.add_common(&block);
        identity.sunspec = Some(SunSpec { base: 40000, models: vec![1, 103, 802] });
        assert_eq!(identity.to_string(), "Maker Model 1.2 serial SN7 (SunSpec at 40000, models 1 103 802)");
    }

    #[test]
    fn the_short_common_block_of_a_sax_battery() {
        // facts/sax.md 5.3
        let mut identity = Identity::default();
        identity.add_common(&[1, 15, 0x5341, 0x5850, 0x4F57, 0x4552, 0x484F, 0x4D45, 0x2D20, 0x0017, 0x0038, 0x3BBF, 0x6920]);
        assert_eq!(identity.to_string(), "SAXPOWERHOME-");
    }

    #[test]
    fn server_ids_as_text_or_bytes() {
        let mut identity = Identity::default();
        identity.add_server_id(&[1, 0xff, 0x42]);
        assert_eq!(identity.to_string(), "01ff42");
        identity.add_server_id(b"\x09\xffGenerator 7");
        assert_eq!(identity.to_string(), "Generator 7");
        assert!(Identity::default().is_empty());
        assert_eq!(text([0, 65]), None);
        assert_eq!(text(vec![b'x'; 300]).map(|t| t.len()), Some(TEXT_MAX));
    }
}
