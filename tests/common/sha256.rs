//! SHA-256 (FIPS 180-4), for golden values of other people. Only for tests.
#![allow(missing_docs)]

/// The first 32 bits of the fractional parts of the roots of the first primes: square roots of eight, cube roots of 64.
fn roots() -> ([u32; 8], [u32; 64]) {
    let primes: Vec<u128> = (2..312).filter(|n| (2..*n).all(|d| n % d != 0)).collect();
    let (mut start, mut round) = ([0; 8], [0; 64]);
    for (slot, p) in start.iter_mut().zip(&primes) {
        *slot = (p << 64).isqrt() as u32;
    }
    for (slot, p) in round.iter_mut().zip(&primes) {
        *slot = cube_root(p << 96) as u32;
    }
    (start, round)
}

fn cube_root(n: u128) -> u128 {
    (0..40).rev().fold(0, |root, bit| {
        let tried = root | 1 << bit;
        if tried * tried * tried <= n { tried } else { root }
    })
}

pub fn hex(bytes: &[u8]) -> String {
    let (mut state, round) = roots();
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize((bytes.len() + 9).next_multiple_of(64) - 8, 0);
    padded.extend((bytes.len() as u64 * 8).to_be_bytes());
    for block in padded.chunks_exact(64) {
        compress(&mut state, block, &round);
    }
    state.map(|word| format!("{word:08x}")).concat()
}

fn compress(state: &mut [u32; 8], block: &[u8], round: &[u32; 64]) {
    let mut w = [0u32; 64];
    for (word, bytes) in w.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes(bytes.try_into().unwrap());
    }
    for t in 16..64 {
        let (x, y) = (w[t - 15], w[t - 2]);
        let a = x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3);
        let b = y.rotate_right(17) ^ y.rotate_right(19) ^ (y >> 10);
        w[t] = w[t - 16].wrapping_add(a).wrapping_add(w[t - 7]).wrapping_add(b);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for t in 0..64 {
        let big = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let first = h.wrapping_add(big).wrapping_add((e & f) ^ (!e & g)).wrapping_add(round[t]).wrapping_add(w[t]);
        let sum = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let second = sum.wrapping_add((a & b) ^ (a & c) ^ (b & c));
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(first), c, b, a, first.wrapping_add(second));
    }
    for (sum, word) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *sum = sum.wrapping_add(word);
    }
}

#[test]
fn it_is_sha_256() {
    // FIPS 180-4 examples.
    assert_eq!(hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(
        hex(b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    );
}
