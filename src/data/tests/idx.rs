use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::super::FeatureValues;
use super::*;

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";

/// An IDX file: magic, sizes, values.
fn idx(kind: u8, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, kind, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(values);
    file
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Three images of 1 x 2 pixels, counted from 1.
fn images() -> Vec<u8> {
    idx(8, &[3, 1, 2], &[1, 2, 3, 4, 5, 6])
}

fn labels() -> Vec<u8> {
    idx(8, &[3], &[7, 2, 7])
}

fn read(files: &[(&str, Vec<u8>)], test: TestPart) -> Result<Dataset, DataError> {
    let folder = Folder::new();
    for (name, content) in files {
        folder.file(name, content);
    }
    let mut config = config(&folder.source());
    config.test = test;
    load(&config)
}

fn read_train(images: &[u8], labels: &[u8]) -> Result<Dataset, DataError> {
    let files = [(IMAGES, images.to_vec()), (LABELS, labels.to_vec())];
    read(&files, TestPart::default())
}

#[test]
fn names_with_dash_or_point_packed_or_not_are_read() {
    let cases = [
        [(IMAGES, images()), (LABELS, labels())],
        [
            ("train-images-idx3-ubyte.gz", gz(&images())),
            ("train-labels-idx1-ubyte.gz", gz(&labels())),
        ],
        [
            ("train-images.idx3-ubyte", images()),
            ("train-labels.idx1-ubyte.gz", gz(&labels())),
        ],
        [(IMAGES, gz(&images())), (LABELS, labels())],
    ];
    for files in cases {
        let data = check_accepted(files[0].0, read(&files, TestPart::default()));
        let expected = FeatureValues::U8(vec![1, 2, 3, 4, 5, 6]);
        assert_eq!(data.features.values(), &expected);
        assert_eq!(data.feature_names, ["pixel_0_0", "pixel_0_1"]);
        assert_eq!(data.class_names, ["2", "7"]);
        assert_eq!(data.targets, [1, 0, 1]);
        assert_eq!(data.given_test_rows, 0);
    }
}

/// The files of a dataset with a test part of one image.
fn with_test(sizes: [u32; 3], label: u8) -> Vec<(&'static str, Vec<u8>)> {
    let pixels = vec![9; sizes.iter().product::<u32>() as usize];
    vec![
        (IMAGES, images()),
        (LABELS, labels()),
        ("t10k-images-idx3-ubyte", idx(8, &sizes, &pixels)),
        ("t10k-labels-idx1-ubyte", idx(8, &[1], &[label])),
    ]
}

#[test]
fn a_given_test_part_follows_and_only_if_asked_for() {
    let files = with_test([1, 1, 2], 2);
    let data = read(&files, TestPart::Given).unwrap();
    assert_eq!((data.rows(), data.given_test_rows), (4, 1));
    assert_eq!(values(&data)[6..], [9.0, 9.0]);
    assert_eq!(data.targets, [1, 0, 1, 0]);
    let data = read(&files, TestPart::default()).unwrap();
    assert_eq!((data.rows(), data.given_test_rows), (3, 0));
}

#[test]
fn test_parts_that_do_not_fit_are_refused() {
    let cases = [
        (
            with_test([1, 1, 2], 3),
            "has `3` in row 0, which the training data lacks (it has 2, 7)",
        ),
        (
            with_test([1, 2, 1], 2),
            "has images of 2 x 1 pixels, but the training images have 1 x 2",
        ),
        (with_test([2, 1, 2], 2), "has 2 rows, but"),
        (
            with_test([1, 1, 2], 2)[..2].to_vec(),
            "has none of the IDX files t10k-images-idx3-ubyte, ",
        ),
        (
            with_test([1, 1, 2], 2)[..3].to_vec(),
            "has none of the IDX files t10k-labels-idx1-ubyte, ",
        ),
    ];
    for (files, part) in cases {
        check_error(part, read(&files, TestPart::Given), part);
    }
}

#[test]
fn malformed_files_are_refused() {
    let cut = |bytes: &[u8], by: usize| bytes[..bytes.len() - by].to_vec();
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    let mut flipped = gz(&images());
    let at = flipped.len() - 8;
    flipped[at] ^= 1;
    let cases: [(&str, Vec<u8>, &str); 14] = [
        (
            "cut",
            cut(&images(), 1),
            "should have 6 bytes after its header, but has 5;",
        ),
        (
            "longer",
            longer(&images()),
            "should have 6 bytes after its header, but has more;",
        ),
        (
            "cut header",
            images()[..10].to_vec(),
            "is damaged or cut short",
        ),
        ("empty", Vec::new(), "begins with the bytes []"),
        (
            "magic",
            [&b"PNG!"[..], &images()].concat(),
            "begins with the bytes [50, 4e, 47, 21]",
        ),
        (
            "two dimensions",
            idx(8, &[3, 2], &[1; 6]),
            "an IDX file of 3 dimensions begins with",
        ),
        (
            "floats",
            idx(0x0d, &[3, 1, 2], &[1; 24]),
            "holds 32-bit floats (IDX type 0x0d)",
        ),
        (
            "no type",
            idx(0x77, &[3, 1, 2], &[1; 6]),
            "begins with the bytes [00, 00, 77, 03]",
        ),
        ("cut gz", cut(&gz(&images()), 9), "is damaged or cut short"),
        ("damaged gz", flipped, "is damaged or cut short"),
        (
            "gz and more",
            longer(&gz(&images())),
            "is damaged or cut short",
        ),
        ("no rows", idx(8, &[0, 1, 2], &[]), "has 0 rows, but"),
        (
            "no pixels",
            idx(8, &[3, 0, 2], &[]),
            "has no feature columns",
        ),
        (
            "more labels",
            idx(8, &[2, 1, 2], &[1; 4]),
            "has 2 rows, but",
        ),
    ];
    check_accepted("twin", read_train(&images(), &labels()));
    check_accepted("packed twin", read_train(&gz(&images()), &labels()));
    for (case, images, part) in cases {
        check_error(case, read_train(&images, &labels()), part);
    }
    check_error(
        "labels",
        read_train(&images(), &images()),
        "of 1 dimension begins with",
    );
    let none = (idx(8, &[0, 1, 2], &[]), idx(8, &[0], &[]));
    check_error(
        "no rows at all",
        read_train(&none.0, &none.1),
        "has no rows",
    );
    let one = idx(8, &[3], &[4, 4, 4]);
    check_error(
        "one class",
        read_train(&images(), &one),
        "has the class `4`",
    );
}

#[test]
fn a_header_that_claims_the_most_allocates_nothing() {
    let sizes = [1 << 31, u32::MAX, u32::MAX];
    let claim = idx(8, &sizes, &[1, 2, 3]);
    let part = "bytes after its header, but has 3;";
    check_error("plain", read_train(&claim, &labels()), part);
    check_error("packed", read_train(&gz(&claim), &labels()), part);
}
