//! `prices …`: a book is imported, changed, listed and compared, and programs read the result.

use std::fs;

use serde_json::{Value, json};
use zae_llm::{
    Usage,
    prices::{PriceBook, Prices},
};

use crate::stage::{Ran, Stage, binary, run};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Ran {
        run(binary().current_dir(self.0.path()).arg("prices").args(args))
    }

    fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{args:?}: {ran:?}");
        ran.stdout
    }

    fn book(&self, name: &str) -> PriceBook {
        PriceBook::from_json(&fs::read(self.0.path().join(name)).unwrap()).unwrap()
    }
}

fn cost(book: &PriceBook, model: &str) -> Option<u64> {
    book.micro_dollars(model, &Usage::new(1_000, 100), jiff::Timestamp::now())
}

#[test]
fn prices_are_set_and_programs_read_them() {
    let folder = Folder::new();
    let set = ["set", "gpt-5*", "--price", "input=1.25", "--price", "output=10", "--source", "our contract"];
    assert_eq!(folder.ok(&set), "gpt-5*\n  (none) → input 1.25, output 10\n");
    assert_eq!(cost(&folder.book("prices.json"), "gpt-5-mini"), Some(2_250));
    let dearer = ["set", "gpt-5*", "--price", "input=2.5", "--price", "output=10", "--source", "our contract"];
    assert_eq!(folder.ok(&dearer), "gpt-5*\n  input 1.25, output 10 → input 2.5, output 10\n");
    assert_eq!(cost(&folder.book("prices.json"), "gpt-5-mini"), Some(3_500));
    let next_year = ["--price", "input=9", "--from-date", "2199-01-01", "--source", "our contract"];
    folder.ok(&[&["set", "gpt-5*"], &next_year[..]].concat());
    assert_eq!(cost(&folder.book("prices.json"), "gpt-5-mini"), Some(3_500), "not yet");
    let listed: Value = serde_json::from_str(&folder.ok(&["list", "gpt", "--output", "json"])).unwrap();
    assert_eq!(listed["prices"][0]["prices"], json!([["input", 2.5], ["output", 10.0]]));
    assert_eq!(listed["prices"][1]["conditions"], json!(["from 2199-01-01T00:00:00Z"]));
}

#[test]
fn prices_are_imported_from_what_people_have() {
    let folder = Folder::new();
    folder.write("map.json", r#"{"gpt-5": {"input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05}}"#);
    folder.write(
        "api.json",
        r#"{"openai": {"models": {"gpt-5": {"cost": {"input": 2, "output": 20}}}},
            "anthropic": {"models": {"claude": {"cost": {"input": 3, "output": 15}}}}}"#,
    );
    folder.ok(&["import", "--from", "litellm", "map.json"]);
    assert_eq!(cost(&folder.book("prices.json"), "gpt-5"), Some(2_250));
    let told = folder.ok(&["import", "--from", "models-dev", "api.json", "--provider", "openai"]);
    assert_eq!(told, "gpt-5\n  input 1.25, output 10 → input 2, output 20\n");
    assert_eq!(cost(&folder.book("prices.json"), "claude"), None, "of another provider");
    folder.ok(&["import", "--from", "bundled", "--file", "other.yaml"]);
    let yaml = fs::read_to_string(folder.0.path().join("other.yaml")).unwrap();
    assert!(yaml.contains("model: gpt-5"), "{yaml}");
    folder.ok(&["import", "--from", "book", "other.yaml", "--file", "copy.json"]);
    assert_eq!(folder.book("copy.json"), PriceBook::bundled());
    assert_eq!(folder.ok(&["diff", "copy.json", "--file", "other.yaml"]), "No differences\n");
}

#[test]
fn differences_are_told_by_the_exit_code_where_that_is_asked() {
    let folder = Folder::new();
    for (file, input) in [("a.json", "1"), ("b.json", "2")] {
        folder.ok(&["set", "m", "--price", &format!("input={input}"), "--source", "test", "--file", file]);
    }
    let ran = folder.run(&["diff", "b.json", "--file", "a.json", "--detailed-exitcode"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, "m\n  input 1 → input 2\n"), "{ran:?}");
    assert_eq!(folder.run(&["diff", "a.json", "--file", "a.json", "--detailed-exitcode"]).code, 0);
}

#[test]
fn what_is_no_price_changes_nothing() {
    let folder = Folder::new();
    let set = |price: &str| folder.run(&["set", "m", "--price", price, "--source", "test"]);
    for (price, problem) in [
        ("inputs=1", "there is no price of the kind `inputs`"),
        ("input", "a price is KIND=DOLLARS"),
        ("input=-1", "must be from 0 to 1000000 dollars"),
        ("input=NaN", "is a number of dollars"),
    ] {
        let ran = set(price);
        assert!(ran.code == 1 && ran.stderr.contains(problem), "{price}: {ran:?}");
    }
    assert!(!folder.0.path().join("prices.json").exists());
    let ran = folder.run(&["list"]);
    assert!(ran.code == 1 && ran.stderr.contains("prices import --from bundled"), "{ran:?}");
    folder.write("bad.json", "{}");
    let ran = folder.run(&["import", "--from", "litellm", "bad.json"]);
    assert!(ran.code == 1 && ran.stderr.contains("is it of another format?"), "{ran:?}");
}

#[test]
fn the_table_has_a_book_that_all_programs_read() {
    let (stage, folder) = (Stage::deployed(), Folder::new());
    let none = stage.run(&["prices", "list", "--in-table"]);
    assert!(none.code == 1 && none.stderr.contains("prices import --from bundled --in-table"), "{none:?}");
    let set = |price: &str| {
        let price = ["--price", price, "--source", "our contract", "--in-table"];
        stage.ok(&[&["prices", "set", "gpt-5*"], &price[..]].concat())
    };
    assert_eq!(set("input=1.25"), "gpt-5*\n  (none) → input 1.25\n");
    let repository = stage.repository("default");
    let prices = stage.runtime.block_on(Prices::from_table(&repository)).unwrap();
    assert_eq!(cost(&prices.book(), "gpt-5-mini"), Some(1_250));
    assert_eq!(set("input=2.5"), "gpt-5*\n  input 1.25 → input 2.5\n");
    let prices = stage.runtime.block_on(Prices::from_table(&repository)).unwrap();
    assert_eq!(cost(&prices.book(), "gpt-5-mini"), Some(2_500));
    assert_eq!(stage.json(&["prices", "list", "gpt", "--in-table"])["prices"][0]["prices"], json!([["input", 2.5]]));

    // Each namespace has a book of its own; a file takes it over, and is compared with it.
    stage.ok(&["namespace", "register", "tenant-a"]);
    let theirs = stage.run(&["prices", "list", "--in-table", "--namespace", "tenant-a"]);
    assert!(theirs.code == 1 && theirs.stderr.contains("Namespace 'tenant-a' has no price book"), "{theirs:?}");
    let file = folder.0.path().join("prices.json");
    let file = file.to_str().unwrap();
    stage.ok(&["prices", "import", "--from", "table", "--file", file]);
    assert_eq!(folder.book("prices.json"), *prices.book());
    assert_eq!(stage.ok(&["prices", "diff", file, "--in-table"]), "No differences\n");
    stage.ok(&["prices", "import", "--from", "book", file, "--in-table", "--namespace", "tenant-a"]);
    assert_eq!(stage.ok(&["prices", "diff", file, "--in-table", "--namespace", "tenant-a"]), "No differences\n");
}
