//! How one value lies in sled.
//!
//! sled keeps up to 17 pairs in one leaf and writes a leaf above 128 KiB to a file of its own, which is slow and was a
//! source of corruption. So a value is stored as a *head* of at most [`PIECE`] bytes and, where that is not enough,
//! further pieces under keys of their own; what is longer than a piece is compressed first.
//!
//! Head: checksum (8 bytes), flags (1), length of the plain value (4), number of further pieces (4), first bytes.
//! The checksum covers the key, the head after it and every piece. The format is persisted: change it only together
//! with [`super::record::FORMAT`].

use sha2::{Digest, Sha256};

/// The most bytes of a value that lie under one key.
pub(super) const PIECE: usize = 4 * 1024;

/// First byte of the key of a head, of a further piece, and of the store's own record.
pub(super) const HEAD_SPACE: u8 = b'h';
pub(super) const PIECE_SPACE: u8 = b'p';

const CHECKSUM: usize = 8;
const PREFIX: usize = CHECKSUM + 1 + 4 + 4;
const COMPRESSED: u8 = 1;
/// Fast, and rule state is full of repeated column names and ids.
const ZSTD_LEVEL: i32 = 1;

/// A value in the form in which it is stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// The value of the head's key.
    pub(super) head: Vec<u8>,
    /// The values of the further pieces' keys.
    pub(super) pieces: Vec<Vec<u8>>,
}

/// What the head says without reading the pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Checksum of key and value.
    pub(super) checksum: u64,
    /// Number of further pieces.
    pub(super) pieces: u32,
}

/// The key of the head of `key`.
pub(super) fn head_key(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len() + 1);
    stored.push(HEAD_SPACE);
    stored.extend_from_slice(key);
    stored
}

/// The key of a further piece of `key`. The length comes first, so that no key's pieces lie among another's.
pub(super) fn piece_key(key: &[u8], index: u32) -> Vec<u8> {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut stored = Vec::with_capacity(key.len() + 9);
    stored.push(PIECE_SPACE);
    stored.extend_from_slice(&length.to_be_bytes());
    stored.extend_from_slice(key);
    stored.extend_from_slice(&index.to_be_bytes());
    stored
}

/// Cuts a value into head and pieces.
pub(super) fn store(key: &[u8], value: &[u8]) -> Result<Stored, String> {
    let length = u32::try_from(value.len()).map_err(|_| format!("a value of {} bytes is too long", value.len()))?;
    let compressed = if value.len() > PIECE {
        let compressed =
            zstd::bulk::compress(value, ZSTD_LEVEL).map_err(|error| format!("compression failed: {error}"))?;
        (compressed.len() < value.len()).then_some(compressed)
    } else {
        None
    };
    let flags = if compressed.is_some() { COMPRESSED } else { 0 };
    let body = compressed.as_deref().unwrap_or(value);
    let (first, rest) = body.split_at(body.len().min(PIECE));
    let pieces: Vec<Vec<u8>> = rest.chunks(PIECE).map(<[u8]>::to_vec).collect();
    let mut head = Vec::with_capacity(PREFIX + first.len());
    head.extend_from_slice(&[0; CHECKSUM]);
    head.push(flags);
    head.extend_from_slice(&length.to_be_bytes());
    head.extend_from_slice(&u32::try_from(pieces.len()).unwrap_or(u32::MAX).to_be_bytes());
    head.extend_from_slice(first);
    let sum = checksum(key, &head[CHECKSUM..], &pieces);
    head[..CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    Ok(Stored { head, pieces })
}

/// Reads the fixed part of a head.
pub(super) fn head(head: &[u8]) -> Result<Head, String> {
    let (Some(checksum), Some(pieces)) = (head.first_chunk::<8>(), head.get(13..17)) else {
        return Err(format!("a head of {} bytes is too short", head.len()));
    };
    let pieces = pieces.try_into().map_or(0, u32::from_be_bytes);
    Ok(Head { checksum: u64::from_be_bytes(*checksum), pieces })
}

/// Puts head and pieces together again and verifies them.
pub(super) fn load<P: AsRef<[u8]>>(key: &[u8], stored: &[u8], pieces: &[P]) -> Result<Vec<u8>, String> {
    let head = head(stored)?;
    if head.checksum != checksum(key, &stored[CHECKSUM..], pieces) {
        return Err(format!("the value of key {} does not have its checksum", shown(key)));
    }
    let flags = stored[CHECKSUM];
    let length = stored[CHECKSUM + 1..CHECKSUM + 5].try_into().map_or(0, u32::from_be_bytes) as usize;
    let mut body = stored[PREFIX..].to_vec();
    for piece in pieces {
        body.extend_from_slice(piece.as_ref());
    }
    let value = if flags & COMPRESSED == 0 {
        body
    } else {
        zstd::bulk::decompress(&body, length).map_err(|error| format!("the value of key {} : {error}", shown(key)))?
    };
    if value.len() != length {
        return Err(format!("the value of key {} has {} bytes instead of {length}", shown(key), value.len()));
    }
    Ok(value)
}

fn checksum<P: AsRef<[u8]>>(key: &[u8], head: &[u8], pieces: &[P]) -> u64 {
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(head);
    for piece in pieces {
        hash.update(piece.as_ref());
    }
    let digest = hash.finalize();
    digest.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}

/// A key for a message: its first bytes, escaped.
fn shown(key: &[u8]) -> String {
    key[..key.len().min(48)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn loads_what_it_stores(
            key in prop::collection::vec(any::<u8>(), 0..40),
            value in prop::collection::vec(any::<u8>(), 0..200),
            times in 1_usize..200,
        ) {
            let value = value.repeat(times);
            let stored = store(&key, &value).expect("the value is short enough");
            prop_assert!(stored.head.len() <= PIECE + PREFIX);
            prop_assert!(stored.pieces.iter().all(|piece| piece.len() <= PIECE));
            prop_assert_eq!(head(&stored.head).expect("it is whole").pieces as usize, stored.pieces.len());
            prop_assert_eq!(load(&key, &stored.head, &stored.pieces).expect("it is whole"), value);
        }

        #[test]
        fn notices_every_flipped_bit(
            value in prop::collection::vec(any::<u8>(), 0..10_000),
            at in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let mut stored = store(b"k", &value).expect("the value is short enough");
            let at = at.index(stored.head.len());
            stored.head[at] ^= 1 << bit;
            prop_assert!(load(b"k", &stored.head, &stored.pieces).is_err());
        }
    }

    #[test]
    fn incompressible_values_are_cut_into_pieces() {
        let mut state = 1_u64;
        let value: Vec<u8> = (0..100_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let stored = store(b"k", &value).expect("the value is short enough");
        assert_eq!(stored.pieces.len(), 100_000_usize.div_ceil(PIECE) - 1);
        assert_eq!(load(b"k", &stored.head, &stored.pieces).expect("it is whole"), value);
        assert!(load(b"k", &stored.head, &stored.pieces[1..]).is_err(), "a lost piece is noticed");
    }

    #[test]
    fn a_cut_head_is_an_error() {
        let stored = store(b"k", b"value").expect("the value is short enough");
        for length in 0..stored.head.len() {
            assert!(load::<Vec<u8>>(b"k", &stored.head[..length], &[]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn pieces_of_different_keys_do_not_mix() {
        assert_ne!(piece_key(b"a", 0x6200_0000), piece_key(b"ab", 0));
    }
}
