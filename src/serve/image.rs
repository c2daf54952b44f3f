//! Our registers at one moment, as clients read them.

/// Exception "illegal data address".
pub const ILLEGAL_ADDRESS: u8 = 2;

/// Registers that can be read, and the unit that has them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Image {
    /// Our unit id.
    pub unit: u8,
    /// First register and contents of every range without a gap, in order.
    pub ranges: Vec<(u16, Vec<u16>)>,
}

impl Image {
    /// `count` registers from `address`; the code of the exception where one of them cannot be read.
    pub fn read(&self, address: u16, count: u16) -> Result<Vec<u16>, u8> {
        let inside = |(first, values): &(u16, Vec<u16>)| {
            let start = usize::from(address.checked_sub(*first)?);
            values.get(start..start.checked_add(usize::from(count))?).map(<[u16]>::to_vec)
        };
        self.ranges.iter().find_map(inside).ok_or(ILLEGAL_ADDRESS)
    }
}
