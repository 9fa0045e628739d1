//! `prices …`: the price book that programs charge by.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use zae_llm::prices::{BookError, Price, PriceBook, PriceKind};

use super::{
    CliError, Context,
    output::{Align, Cell, Page, Report, Table},
};

/// The price book: a file of JSON or YAML that programs charge money by.
#[derive(Args, Debug)]
#[command(after_help = "\
A program reads the file (`Prices::from_file`), and again when it is told to: what changes here needs no restart.

Examples:
  zae-deploy prices import --from litellm model_prices_and_context_window.json
  zae-deploy prices set gpt-5 --price input=1.25 --price output=10 --source us
  zae-deploy prices list gpt-5")]
pub(crate) struct Group {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take prices from LiteLLM's map, from models.dev, or from another book
    #[command(after_help = "\
Examples:
  zae-deploy prices import --from litellm model_prices_and_context_window.json
  zae-deploy prices import --from models-dev api.json --provider openai
  zae-deploy prices import --from bundled")]
    Import(Import),
    /// Show the prices of a book
    #[command(after_help = "\
Examples:
  zae-deploy prices list
  zae-deploy prices list claude --file prices.json")]
    List {
        /// Only models whose names begin so
        model: Option<String>,
        #[command(flatten)]
        file: BookArgs,
    },
    /// Show what another book has otherwise
    #[command(after_help = "\
Examples:
  zae-deploy prices diff new.json --file prices.json --detailed-exitcode")]
    Diff {
        /// The other book
        other: PathBuf,
        #[command(flatten)]
        file: BookArgs,
        /// Exit with 2 if there are differences
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Set the prices of a model
    #[command(after_help = "\
Examples:
  zae-deploy prices set gpt-5 --price input=1.25 --price output=10 --source us
  zae-deploy prices set m --price input=3 --from-date 2027-01-01 --source list")]
    Set(SetPrices),
}

#[derive(Args, Debug)]
struct BookArgs {
    /// The price book
    #[arg(short = 'f', long, value_name = "FILE", default_value = "prices.json", env = "ZAE_PRICES")]
    file: PathBuf,
}

/// The format of an import.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Origin {
    /// LiteLLM's model_prices_and_context_window.json
    Litellm,
    /// The api.json of models.dev
    ModelsDev,
    /// Another price book
    Book,
    /// The few prices that come with this program
    Bundled,
}

#[derive(Args, Debug)]
struct Import {
    /// The file to take prices from; not needed for the bundled ones
    path: Option<PathBuf>,
    /// The format of that file
    #[arg(long = "from", value_name = "FORMAT")]
    origin: Origin,
    /// Only models of this provider, by the name of models.dev; may be given several times, the first goes first
    #[arg(long = "provider", value_name = "NAME")]
    providers: Vec<String>,
    #[command(flatten)]
    file: BookArgs,
}

#[derive(Args, Debug)]
struct SetPrices {
    /// The model, or the beginning of its name and a *
    model: String,
    /// A price: kind=dollars, per million tokens, or each for tool_call, second, image and search_unit
    #[arg(long = "price", value_name = "KIND=DOLLARS", required = true)]
    prices: Vec<String>,
    /// The prices are from here
    #[arg(long)]
    source: String,
    /// The day from which on they count, at midnight UTC, or an instant
    #[arg(long, value_name = "DATE")]
    from_date: Option<String>,
    /// They count for calls with more input than so many tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 0)]
    above: u64,
    #[command(flatten)]
    file: BookArgs,
}

impl Group {
    pub(crate) fn run(self, cx: &Context) -> Result<(), CliError> {
        match self.command {
            Command::Import(import) => import.run(cx),
            Command::List { model, file } => {
                let book = read(&file.file)?;
                let begins = |row: &&Price| model.as_ref().is_none_or(|model| row.model.starts_with(model));
                cx.output()
                    .show(&ListedPrices { prices: book.rows().iter().filter(begins).map(PriceRow::of).collect() })
            }
            Command::Diff { other, file, detailed_exitcode } => {
                let changes = changes(&read(&file.file)?, &read(&other)?);
                let differ = !changes.is_empty();
                cx.output().show(&Changes { changes })?;
                if differ && detailed_exitcode { Err(CliError::Differences) } else { Ok(()) }
            }
            Command::Set(set) => set.run(cx),
        }
    }
}

impl Import {
    fn run(self, cx: &Context) -> Result<(), CliError> {
        let imported = match (self.origin, &self.path) {
            (Origin::Bundled, _) => PriceBook::bundled(),
            (_, None) => return Err(CliError::Usage("name the file to take prices from".to_owned())),
            (origin, Some(path)) => {
                let text = fs::read(path).map_err(|error| cannot("read", path, error))?;
                let source = format!("{}, {}", path.display(), Timestamp::now().strftime("%F"));
                let providers: Vec<&str> = self.providers.iter().map(String::as_str).collect();
                let book = match origin {
                    Origin::Litellm => PriceBook::from_litellm(&text, &source),
                    Origin::ModelsDev => PriceBook::from_models_dev(&text, &providers, &source),
                    Origin::Book | Origin::Bundled => return self.merge(cx, &parse(path, &text)?),
                };
                book.map_err(|error| cannot("read", path, error))?
            }
        };
        self.merge(cx, &imported)
    }

    fn merge(&self, cx: &Context, imported: &PriceBook) -> Result<(), CliError> {
        let path = &self.file.file;
        let before = read_or_empty(path)?;
        let mut after = before.clone();
        imported.rows().iter().for_each(|row| drop(after.set(row.clone())));
        let changes = changes(&before, &after);
        write(path, &after)?;
        cx.output().show(&Changes { changes })
    }
}

impl SetPrices {
    fn run(self, cx: &Context) -> Result<(), CliError> {
        // By the reader of files, so that a price means the same here and there.
        let mut prices = [serde_json::Map::new(), serde_json::Map::new()];
        for price in &self.prices {
            let wrong = || CliError::Invalid(format!("a price is KIND=DOLLARS, not '{price}'"));
            let (kind, dollars) = price.split_once('=').ok_or_else(wrong)?;
            let dollars: f64 = dollars.parse().map_err(|_| wrong())?;
            let each = PriceKind::named(kind).is_some_and(|kind| !kind.is_token());
            prices[usize::from(each)].insert(kind.to_owned(), dollars.into());
        }
        let [per_million, each] = prices;
        let row = serde_json::json!({
            "model": self.model, "source": self.source, "valid_from": self.from_date, "above": self.above,
            "per_million": per_million, "each": each,
        });
        let text = serde_json::json!({ "models": [row] }).to_string();
        let set = PriceBook::from_json(text.as_bytes()).map_err(|error| match error {
            BookError::Row { problem, .. } => CliError::Invalid(problem),
            error => CliError::Invalid(error.to_string()),
        })?;
        let path = &self.file.file;
        let before = read_or_empty(path)?;
        let mut after = before.clone();
        set.rows().iter().for_each(|row| drop(after.set(row.clone())));
        write(path, &after)?;
        cx.output().show(&Changes { changes: changes(&before, &after) })
    }
}

fn cannot(action: &str, path: &Path, error: impl Into<super::error::BoxError>) -> CliError {
    CliError::failed(format!("{action} {}", path.display()), error)
}

fn read(path: &Path) -> Result<PriceBook, CliError> {
    match fs::read(path) {
        Ok(text) => parse(path, &text),
        Err(error) => Err(cannot("read", path, error).next("zae-deploy prices import --from bundled")),
    }
}

fn read_or_empty(path: &Path) -> Result<PriceBook, CliError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(PriceBook::default()),
        Err(error) => Err(cannot("read", path, error)),
        Ok(text) => parse(path, &text),
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

fn parse(path: &Path, text: &[u8]) -> Result<PriceBook, CliError> {
    let failed = |error: super::error::BoxError| cannot("read", path, error);
    if !is_yaml(path) {
        return PriceBook::from_json(text).map_err(|error| failed(error.into()));
    }
    let text = std::str::from_utf8(text).map_err(|error| failed(error.into()))?;
    let value: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| failed(error.to_string().into()))?;
    PriceBook::from_json(value.to_string().as_bytes()).map_err(|error| failed(error.into()))
}

/// Writes a book whole or not at all: a program may read it at the same time.
fn write(path: &Path, book: &PriceBook) -> Result<(), CliError> {
    let mut text = book.to_json();
    if is_yaml(path) {
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| cannot("write", path, error))?;
        text = serde_saphyr::to_string(&value).map_err(|error| cannot("write", path, error.to_string()))?;
    }
    let beside = path.with_extension("new");
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| cannot("write", path, error))
}

/// A row as it is shown.
#[derive(Debug, PartialEq, Serialize)]
struct PriceRow {
    model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    conditions: Vec<String>,
    prices: Vec<(String, f64)>,
    source: String,
}

impl PriceRow {
    fn of(row: &Price) -> Self {
        let mut conditions = Vec::new();
        if row.above > 0 {
            conditions.push(format!("above {} tokens", row.above));
        }
        if row.tier != Default::default() {
            conditions.push(row.tier.as_str().to_owned());
        }
        if row.region != Default::default() {
            conditions.push(format!("in {}", row.region.as_str()));
        }
        if let Some(from) = row.valid_from {
            conditions.push(format!("from {from}"));
        }
        let prices = PriceKind::ALL.into_iter().filter_map(|kind| Some((kind.as_str().to_owned(), row.get(kind)?)));
        Self {
            model: row.model.clone(),
            provider: row.provider.clone(),
            conditions,
            prices: prices.collect(),
            source: row.source.clone(),
        }
    }

    fn prices(&self) -> String {
        self.prices.iter().map(|(kind, dollars)| format!("{kind} {dollars}")).collect::<Vec<_>>().join(", ")
    }
}

#[derive(Serialize)]
struct ListedPrices {
    prices: Vec<PriceRow>,
}

impl Report for ListedPrices {
    fn page(&self, page: &mut Page) {
        if self.prices.is_empty() {
            return page.line("No prices");
        }
        let columns = ["Model", "When", "Dollars per million tokens, or each"].map(|name| (name, Align::Left));
        let mut table = Table::new(columns);
        for row in &self.prices {
            table.row([Cell::new(&row.model), Cell::new(row.conditions.join(", ")), Cell::new(row.prices())]);
        }
        page.table(&table);
    }
}

/// A row that two books have otherwise.
#[derive(Serialize)]
struct PriceChange {
    model: String,
    conditions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<PriceRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<PriceRow>,
}

#[derive(Serialize)]
struct Changes {
    changes: Vec<PriceChange>,
}

fn changes(before: &PriceBook, after: &PriceBook) -> Vec<PriceChange> {
    let find = |book: &PriceBook, row: &Price| book.rows().iter().find(|known| known.is_same(row)).map(PriceRow::of);
    let gone = before.rows().iter().filter(|row| find(after, row).is_none());
    let pairs = gone.chain(after.rows()).map(|row| (PriceRow::of(row), find(before, row), find(after, row)));
    let changed = pairs
        .filter(|(_, before, after)| before.as_ref().map(|row| &row.prices) != after.as_ref().map(|row| &row.prices));
    changed
        .map(|(row, before, after)| PriceChange { model: row.model, conditions: row.conditions, before, after })
        .collect()
}

impl Report for Changes {
    fn page(&self, page: &mut Page) {
        if self.changes.is_empty() {
            return page.line("No differences");
        }
        for change in &self.changes {
            let conditions = change.conditions.join(", ");
            let space = if conditions.is_empty() { "" } else { ", " };
            let prices = |row: &Option<PriceRow>| row.as_ref().map_or_else(|| "(none)".to_owned(), PriceRow::prices);
            page.line(format!("{}{space}{conditions}", change.model));
            page.line(format!("  {} → {}", prices(&change.before), prices(&change.after)));
        }
    }
}
