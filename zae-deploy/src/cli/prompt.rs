//! Asks for confirmation before something is lost.

use std::io::{self, BufRead, IsTerminal, Write};

use super::{
    args::YesArgs,
    error::CliError,
    output::{Breaks, harmless},
};

/// Asks `question` on the terminal, unless `--yes` was given. `losses` lists what will be lost, one per line.
///
/// # Errors
/// [`CliError::Declined`] if the answer is not yes; [`CliError::Problem`] if there is no terminal.
pub(crate) fn confirm(question: &str, losses: &[String], yes: YesArgs) -> Result<(), CliError> {
    if yes.yes {
        return Ok(());
    }
    // A line break in a stored name must not look like the end of the question.
    let question = &harmless(question, Breaks::Escaped);
    let losses: Vec<String> = losses.iter().map(|loss| harmless(loss, Breaks::Escaped)).collect();
    if !io::stdin().is_terminal() {
        let losses: String = losses.iter().map(|loss| format!("\n  - {loss}")).collect();
        let problem = format!("Not a terminal, so confirmation is impossible: {question}{losses}");
        return Err(CliError::problem(problem).next("repeat it with --yes to do it without being asked"));
    }
    ask(question, &losses, &mut io::stdin().lock(), &mut io::stderr().lock())
}

fn ask(question: &str, losses: &[String], input: &mut impl BufRead, output: &mut impl Write) -> Result<(), CliError> {
    let mut text: String = losses.iter().map(|loss| format!("  - {loss}\n")).collect();
    text = harmless(&format!("{text}{question} [y/N]: "), Breaks::Kept);
    let mut answer = String::new();
    let asked = output.write_all(text.as_bytes()).and_then(|()| output.flush());
    let read = asked.and_then(|()| input.read_line(&mut answer));
    if matches!(read, Ok(0)) {
        // At end of input, the terminal's cursor still is behind the question.
        let _ = writeln!(output);
    }
    match (read, answer.trim().to_ascii_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(CliError::Declined),
    }
}

#[cfg(test)]
mod tests {
    use super::{CliError, ask};

    fn answer(text: &str) -> (Result<(), CliError>, String) {
        let mut shown = Vec::new();
        let result = ask("Delete it?", &["rpm: 50/min".to_owned()], &mut text.as_bytes(), &mut shown);
        (result, String::from_utf8(shown).unwrap())
    }

    #[test]
    fn only_yes_is_yes() {
        for text in ["y\n", "Y\n", "yes\n", "  YES \n"] {
            assert!(answer(text).0.is_ok(), "{text:?}");
        }
        for text in ["", "\n", "n\n", "no\n", "yep\n", "ja\n"] {
            assert!(matches!(answer(text).0, Err(CliError::Declined)), "{text:?}");
        }
    }

    #[test]
    fn what_will_be_lost_stands_above_the_question() {
        assert_eq!(answer("n\n").1, "  - rpm: 50/min\nDelete it? [y/N]: ");
    }
}
