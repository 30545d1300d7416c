use super::*;

type Change = fn(&mut DataConfig);

#[test]
fn a_misspelt_name_gets_the_nearest_one() {
    let cases = [
        ("digit", "did you mean `digits`?"),
        ("Iris", "did you mean `iris`?"),
        ("breast-cancer", "did you mean `breast_cancer`?"),
        ("wines", "did you mean `wine`?"),
        (
            "qqq",
            "`qqq` is neither a built-in dataset (breast_cancer, digits, iris, wine) nor",
        ),
    ];
    for (name, part) in cases {
        check_error(name, load(&config(name)), part);
    }
    let message = load(&config("qqq")).unwrap_err().to_string();
    assert!(!message.contains("did you mean"), "{message}");
}

#[test]
fn what_is_not_there_or_not_known_is_refused_by_its_path() {
    let folder = Folder::new();
    let text = folder.file("notes.txt", "a,b\n");
    check_error(
        "kind",
        load(&config(&text)),
        "notes.txt is not a kind of file",
    );
    check_error(
        "missing",
        load(&config("no/such.csv")),
        "no/such.csv does not exist",
    );
    check_error(
        "missing",
        load(&config("such.csv")),
        "such.csv does not exist",
    );
    let empty = folder.file("empty.csv", "");
    check_error("empty", load(&config(&empty)), "empty.csv has no rows");
    let part = "has none of the IDX files train-images-idx3-ubyte, ";
    check_error("folder", load(&config(&folder.source())), part);
}

#[test]
fn settings_of_other_kinds_of_source_are_refused() {
    let cases: [(&str, Change); 5] = [
        (
            "`target` needs a CSV file, but the data is iris; leave it out",
            |c| c.target = Some("a".into()),
        ),
        ("`group` needs a CSV file", |c| c.group = Some("a".into())),
        ("`categorical` needs a CSV file", |c| {
            c.categorical = vec!["a".into()]
        }),
        (
            "`test = \"a.csv\"` needs a CSV file to train on, but the data is iris",
            |c| c.test = TestPart::File("a.csv".into()),
        ),
        (
            "`test = \"given\"` needs a folder of IDX files, but the data is iris; hold out",
            |c| {
                c.test = TestPart::Given;
            },
        ),
    ];
    for (part, change) in cases {
        let mut config = config("iris");
        check_accepted(part, load(&config));
        change(&mut config);
        check_error(part, load(&config), part);
    }
    let folder = Folder::new();
    let mut csv = config(&folder.file("a.csv", "a,b\n1,x\n2,y\n3,x\n"));
    check_accepted("csv", load(&csv));
    csv.test = TestPart::Given;
    check_error(
        "csv",
        load(&csv),
        "needs a folder of IDX files, but the data is",
    );
}

#[test]
fn names_are_safe_in_file_names() {
    let folder = Folder::new();
    let rows = "a,b\n1,x\n2,y\n3,x\n";
    let cases = [
        ("plain.csv", "plain"),
        ("my data (2).CSV", "my_data__2_"),
        (".hidden.csv", "hidden"),
        ("größe.csv", "gr__e"),
    ];
    for (file, name) in cases {
        let source = folder.file(file, rows);
        assert_eq!(load(&config(&source)).unwrap().name, name);
    }
}
