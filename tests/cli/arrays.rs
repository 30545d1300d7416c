//! Files of numbers, byte by byte.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// An IDX file of unsigned bytes.
pub fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, u8::try_from(sizes.len()).unwrap()];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An NPY file of this type and shape, as numpy writes them.
pub fn npy(kind: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let unpadded = 10 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap();
    let parts: [&[u8]; 4] = [
        b"\x93NUMPY\x01\x00",
        &length.to_le_bytes(),
        header.as_bytes(),
        values,
    ];
    parts.concat()
}

/// A matrix of 32-bit floats.
pub fn npy_f32(rows: usize, columns: usize, values: &[f32]) -> Vec<u8> {
    assert_eq!(values.len(), rows * columns);
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy("<f4", &format!("({rows}, {columns})"), &bytes)
}

/// A vector of 64-bit integers.
pub fn npy_i64(values: &[i64]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    npy("<i8", &format!("({},)", values.len()), &bytes)
}

/// A ZIP archive of stored files, as `numpy.savez` writes.
pub fn zip(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let offset = size(bytes.len());
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut checksum = flate2::Crc::new();
        checksum.update(content);
        fields.extend(checksum.sum().to_le_bytes());
        fields.extend(size(content.len()).repeat(2));
        fields.extend(&size(name.len())[..2]);
        fields.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&fields);
        bytes.extend(name.as_bytes());
        bytes.extend(content);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(offset);
        directory.extend(name.as_bytes());
    }
    let count = &size(files.len())[..2];
    let (start, length) = (size(bytes.len()), size(directory.len()));
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.repeat(2));
    bytes.extend(length);
    bytes.extend(start);
    bytes.extend([0, 0]);
    bytes
}

fn size(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap().to_le_bytes()
}
