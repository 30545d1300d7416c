use std::io::{Cursor, Write};

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;

use super::super::FeatureValues;
use super::*;

/// An NPY file of version 1 with this header text.
fn with_header(text: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((text.len() as u16 + 1).to_le_bytes());
    file.extend(text.as_bytes());
    file.push(b'\n');
    file.extend(data);
    file
}

fn npy(kind: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let text = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
    with_header(&text, data)
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn f64s(values: &[f64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn i64s(values: &[i64]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Three rows of two.
fn x() -> Vec<u8> {
    npy(
        "<f4",
        false,
        "(3, 2)",
        &f32s(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    )
}

fn y() -> Vec<u8> {
    npy("<i8", false, "(3,)", &i64s(&[5, -1, 5]))
}

fn read(x: &[u8], y: &[u8]) -> Result<Dataset, DataError> {
    let folder = Folder::new();
    folder.file("y.npy", y);
    load(&config(&folder.file("x.npy", x)))
}

#[test]
fn x_and_the_y_beside_it_are_read() {
    let data = read(&x(), &y()).unwrap();
    assert_eq!(data.name, "x");
    assert_eq!(values(&data), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(data.feature_names, ["x0", "x1"]);
    assert_eq!(data.class_names, ["-1", "5"]);
    assert_eq!(data.targets, [1, 0, 1]);
    let folder = Folder::new();
    let alone = folder.file("x.npy", x());
    check_error(
        "alone",
        load(&config(&alone)),
        "y.npy does not exist; put the targets beside",
    );
}

#[test]
fn every_number_type_is_read_and_bytes_stay_bytes() {
    let ones = |bytes: &[u8]| bytes.repeat(3);
    let cases: [(&str, Vec<u8>, bool); 14] = [
        ("|u1", ones(&[1, 2]), true),
        ("|b1", ones(&[1, 1]), true),
        ("|i1", ones(&[1, 2]), false),
        ("<u2", ones(&[1, 0, 2, 0]), false),
        (">u2", ones(&[0, 1, 0, 2]), false),
        ("<i2", ones(&[1, 0, 2, 0]), false),
        ("<u4", ones(&[1, 0, 0, 0, 2, 0, 0, 0]), false),
        ("<i4", ones(&[1, 0, 0, 0, 2, 0, 0, 0]), false),
        ("<u8", i64s(&[1, 2, 1, 2, 1, 2]), false),
        ("<i8", i64s(&[1, 2, 1, 2, 1, 2]), false),
        ("<f4", f32s(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]), false),
        (">f4", ones(&[63, 128, 0, 0, 64, 0, 0, 0]), false),
        ("<f8", f64s(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]), false),
        ("=f8", f64s(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0]), false),
    ];
    for (kind, bytes, are_bytes) in cases {
        if kind.starts_with('=') {
            let result = read(&npy(kind, false, "(3, 2)", &bytes), &y());
            check_error(kind, result, "is not an NPY array that can be read");
            continue;
        }
        let data = check_accepted(kind, read(&npy(kind, false, "(3, 2)", &bytes), &y()));
        let second = if kind == "|b1" { 1.0 } else { 2.0 };
        assert_eq!(
            values(&data),
            [1.0, second, 1.0, second, 1.0, second],
            "{kind}"
        );
        let stored = matches!(data.features.values(), FeatureValues::U8(_));
        assert_eq!(stored, are_bytes, "{kind}");
    }
}

#[test]
fn more_dimensions_are_flattened_and_fortran_order_is_turned() {
    // numpy: np.arange(12).reshape(3, 2, 2), and np.asfortranarray of it.
    let c_order: Vec<u8> = (0..12).collect();
    let fortran = [0, 4, 8, 2, 6, 10, 1, 5, 9, 3, 7, 11];
    let expected: Vec<f32> = (0..12_u8).map(f32::from).collect();
    let cases = [
        ("c", npy("|u1", false, "(3, 2, 2)", &c_order)),
        ("fortran", npy("|u1", true, "(3, 2, 2)", &fortran)),
        (
            "fortran, 2-D",
            npy(
                "|u1",
                true,
                "(3, 4)",
                &[0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11],
            ),
        ),
    ];
    for (case, x) in cases {
        let data = check_accepted(case, read(&x, &y()));
        assert_eq!(data.features.columns(), 4, "{case}");
        assert_eq!(values(&data), expected, "{case}");
    }
}

#[test]
fn targets_may_be_whole_floats_or_bytes() {
    let cases = [
        npy("<f8", false, "(3,)", &f64s(&[5.0, -1.0, 5.0])),
        npy("|i1", false, "(3,)", &[5, 255, 5]),
        npy("<i8", true, "(3,)", &i64s(&[5, -1, 5])),
    ];
    for y in cases {
        assert_eq!(read(&x(), &y).unwrap().class_names, ["-1", "5"]);
    }
    let bools = npy("|b1", false, "(3,)", &[0, 1, 1]);
    assert_eq!(read(&x(), &bools).unwrap().class_names, ["0", "1"]);
}

#[test]
fn arrays_that_cannot_be_used_are_refused() {
    let nan = |at: usize, value: f64| {
        let mut values = [1.0; 6];
        values[at] = value;
        f64s(&values)
    };
    let cases: [(&str, Vec<u8>, &str); 13] = [
        (
            "1-D",
            npy("<f4", false, "(3,)", &f32s(&[1.0; 3])),
            "has the shape (3,), but features must have two or more dimensions, rows first; write x.reshape(-1, 1)",
        ),
        (
            "0-D",
            npy("<f4", false, "()", &f32s(&[1.0])),
            "has the shape (), but features",
        ),
        (
            "text",
            npy("<U1", false, "(3, 2)", &[0; 24]),
            "has the type '<U1', but it must hold",
        ),
        (
            "objects",
            npy("|O", false, "(3, 2)", &[0; 24]),
            "has the type '|O'",
        ),
        (
            "half",
            npy("<f2", false, "(3, 2)", &[0; 12]),
            "has the type '<f2'",
        ),
        (
            "complex",
            npy("<c8", false, "(3, 2)", &[0; 48]),
            "has the type '<c8'",
        ),
        (
            "nan",
            npy("<f8", false, "(3, 2)", &nan(3, f64::NAN)),
            "has NaN in row 1, column 1, but",
        ),
        (
            "nan, fortran",
            npy("<f8", true, "(3, 2)", &nan(3, f64::NAN)),
            "NaN in row 0, column 1",
        ),
        (
            "inf",
            npy("<f8", false, "(3, 2)", &nan(0, f64::INFINITY)),
            "has inf in row 0, column 0",
        ),
        (
            "range",
            npy("<f8", false, "(3, 2)", &nan(5, 1e39)),
            "in row 2, column 1, which is beyond",
        ),
        (
            "rows",
            npy("|u1", false, "(2, 2)", &[1; 4]),
            "x.npy has 2 rows, but",
        ),
        (
            "no rows",
            npy("|u1", false, "(0, 2)", &[]),
            "x.npy has no rows",
        ),
        (
            "no columns",
            npy("|u1", false, "(3, 0)", &[]),
            "x.npy has no feature columns",
        ),
    ];
    check_accepted(
        "twin",
        read(&npy("<f8", false, "(3, 2)", &nan(0, 1e38)), &y()),
    );
    for (case, x, part) in cases {
        check_error(case, read(&x, &y()), part);
    }
    let cases = [
        (
            "2-D",
            npy("|u1", false, "(3, 1)", &[1, 2, 1]),
            "has the shape (3, 1), but targets must have one dimension, a class per row; write y.ravel()",
        ),
        (
            "not whole",
            npy("<f8", false, "(3,)", &f64s(&[1.0, 1.5, 2.0])),
            "has 1.5 in row 1, but",
        ),
        (
            "nan",
            npy("<f8", false, "(3,)", &f64s(&[1.0, f64::NAN, 2.0])),
            "has NaN in row 1, but",
        ),
        (
            "large",
            npy("<i8", false, "(3,)", &i64s(&[1, 2, i64::MAX])),
            "in row 2, but targets",
        ),
        (
            "one class",
            npy("|u1", false, "(3,)", &[1, 1, 1]),
            "has the class `1`",
        ),
    ];
    for (case, y, part) in cases {
        check_error(case, read(&x(), &y), part);
    }
}

#[test]
fn malformed_files_are_refused() {
    let cut = x()[..x().len() - 1].to_vec();
    let longer = [&x()[..], &[0]].concat();
    let claims = |shape: &str| npy("<f8", false, shape, &[1; 8]);
    let nested = format!("{{'descr': {}}}", "(".repeat(1000));
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend(u32::MAX.to_le_bytes());
    let header = |text: &str| with_header(text, &[1; 8]);
    let cases: [(&str, Vec<u8>, &str); 15] = [
        (
            "cut",
            cut,
            "should have 24 bytes after its header, but has 23;",
        ),
        (
            "longer",
            longer,
            "should have 24 bytes after its header, but has 25;",
        ),
        ("empty", Vec::new(), "it ends within its header"),
        (
            "cut header",
            x()[..20].to_vec(),
            "it ends within its header",
        ),
        (
            "text",
            b"1,2,3,4,5,6\n".to_vec(),
            "it does not begin with the bytes 93 NUMPY",
        ),
        (
            "rows",
            claims("(1099511627776, 2)"),
            "should have 17592186044416 bytes",
        ),
        (
            "overflow",
            claims("(4294967296, 4294967296, 4294967296)"),
            "a number that is no size",
        ),
        (
            "overflow by none",
            claims("(0, 4294967296, 4294967296)"),
            "a number that is no size",
        ),
        (
            "hexadecimal",
            claims("(0xffffffffffffffff, 2)"),
            "a number that is no size",
        ),
        (
            "negative",
            claims("(-3, 2)"),
            "characters that are not of a plain array",
        ),
        (
            "escapes",
            claims("(3, 2), '\\x73'"),
            "characters that are not of a plain array",
        ),
        ("nested", header(&nested), "nests too deeply"),
        (
            "no dictionary",
            header("(3, 2)"),
            "is not an NPY array that can be read",
        ),
        (
            "no shape",
            header("{'descr': '<f8'}"),
            "is not an NPY array that can be read",
        ),
        (
            "long header",
            long,
            "its header claims 4294967295 bytes, more than 10000",
        ),
    ];
    for (case, x, part) in cases {
        check_error(case, read(&x, &y()), part);
    }
}

/// An NPZ file with these raw entries.
fn npz(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut writer = NpzWriter::new(&mut file);
    for (name, content) in entries {
        writer
            .zip_writer()
            .start_file(*name, Default::default())
            .unwrap();
        writer.zip_writer().write_all(content).unwrap();
    }
    drop(writer);
    file.into_inner()
}

fn read_npz(content: &[u8]) -> Result<Dataset, DataError> {
    load(&config(&Folder::new().file("data.npz", content)))
}

#[test]
fn npz_files_hold_x_and_y() {
    let data = read_npz(&npz(&[("x.npy", x()), ("z.npy", x()), ("y.npy", y())])).unwrap();
    assert_eq!(data.name, "data");
    assert_eq!(data.features, read(&x(), &y()).unwrap().features);
    assert_eq!(data.targets, [1, 0, 1]);
}

#[test]
fn npz_files_of_the_writer_of_npyz_are_read() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = NpzWriter::new(&mut file);
    let array = writer.array::<f32>("x", Default::default()).unwrap();
    let mut array = array.default_dtype().shape(&[3, 1]).begin_nd().unwrap();
    array.extend([1.0, 2.0, 3.0]).unwrap();
    array.finish().unwrap();
    let array = writer.array::<i64>("y", Default::default()).unwrap();
    let mut array = array.default_dtype().shape(&[3]).begin_nd().unwrap();
    array.extend([0, 1, 1]).unwrap();
    array.finish().unwrap();
    drop(writer);
    assert_eq!(values(&read_npz(file.get_ref()).unwrap()), [1.0, 2.0, 3.0]);
}

#[test]
fn malformed_npz_files_are_refused() {
    let good = npz(&[("x.npy", x()), ("y.npy", y())]);
    let claim = npy("<f8", false, "(1099511627776, 2)", &[1; 8]);
    let mut flipped = good.clone();
    // Within the compressed data of `x`, behind the 30 + 5 bytes of its local header.
    flipped[35 + 40] ^= 0x10;
    let cases = [
        (
            "no y",
            npz(&[("x.npy", x())]),
            "has no array `y` (it has x); save it",
        ),
        (
            "no arrays",
            npz(&[("x.txt", x())]),
            "has no array `x` (it has no array); save it",
        ),
        (
            "claim",
            npz(&[("x.npy", claim), ("y.npy", y())]),
            "should have 17592186044416 bytes",
        ),
        (
            "text",
            b"x,y\n1,2\n".to_vec(),
            "data.npz is damaged or cut short",
        ),
        (
            "cut",
            good[..good.len() / 2].to_vec(),
            "data.npz is damaged or cut short",
        ),
        ("empty", Vec::new(), "data.npz is damaged or cut short"),
    ];
    check_accepted("twin", read_npz(&good));
    for (case, content, part) in cases {
        check_error(case, read_npz(&content), part);
    }
    assert!(read_npz(&flipped).is_err(), "flipped bit");
}
