//! What a fuzzer's bytes are spent on: numbers, choices and pieces. When they are used up, everything is 0.

pub struct Bytes<'b>(pub &'b [u8]);

impl<'b> Bytes<'b> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn u8(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes([0; 8].map(|_: u8| self.u8()))
    }

    /// Less than `most`, which is at most 256.
    pub fn below(&mut self, most: usize) -> usize {
        usize::from(self.u8()) % most.max(1)
    }

    /// True so many times out of 256.
    pub fn chance(&mut self, of_256: u8) -> bool {
        self.u8() < of_256
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A list of 0 to 255 things.
    pub fn list<T>(&mut self, one: impl Fn(&mut Self) -> T) -> Vec<T> {
        (0..self.u8()).map(|_| one(self)).collect()
    }

    /// At most so many of the bytes that are left.
    pub fn take(&mut self, most: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// The bytes cut into pieces of 1 to 64, as these bytes say; without any of them it is one piece.
    pub fn cut<'s>(&mut self, mut stream: &'s [u8]) -> Vec<&'s [u8]> {
        let mut pieces = Vec::new();
        while !stream.is_empty() {
            let length = if self.is_empty() { stream.len() } else { 1 + self.below(64) };
            let (piece, rest) = stream.split_at(length.min(stream.len()));
            pieces.push(piece);
            stream = rest;
        }
        pieces
    }
}
