//! The `#[test]` attribute of the harness.

use proc_macro::{Delimiter, TokenStream, TokenTree};

/// Marks a function as a test, as the built-in attribute does, and declares what the test needs.
///
/// ```ignore
/// #[test]
/// fn runs_everywhere() {}
///
/// #[test(needs = [strace, root])]
/// fn runs_where_both_are_met() {}
///
/// #[test(not_on_windows = "pipes are not files there")]
/// fn is_only_compiled_elsewhere() {}
/// ```
///
/// Each need is a function in the suite's `util::needs`, which returns the reason why it is not met. On Windows the
/// harness lists a test with `not_on_windows` as ignored, with that reason.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let name = name_of(function.clone()).expect("#[test] stands before a function");
    let path = format!("::core::concat!(::core::module_path!(), \"::{name}\")");
    let (mut needs, mut not_on_windows) = (String::new(), None);
    for argument in split_at_commas(arguments) {
        match &argument[..] {
            [TokenTree::Ident(key), TokenTree::Punct(_), TokenTree::Group(list)]
                if key.to_string() == "needs" && list.delimiter() == Delimiter::Bracket =>
            {
                needs = split_at_commas(list.stream())
                    .iter()
                    .map(|need| format!("crate::util::needs::{}", need[0]))
                    .collect::<Vec<_>>()
                    .join(", ");
            }
            [TokenTree::Ident(key), TokenTree::Punct(_), TokenTree::Literal(reason)]
                if key.to_string() == "not_on_windows" =>
            {
                not_on_windows = Some(reason.to_string());
            }
            _ => panic!("expected `needs = [..]` or `not_on_windows = \"..\"`"),
        }
    }
    let run = format!("::harness::inventory::submit! {{ ::harness::Test::new({path}, &[{needs}], {name}) }}");
    let Some(reason) = not_on_windows else {
        return [function, tokens(&run)].into_iter().collect();
    };
    let ignore = format!("::harness::inventory::submit! {{ ::harness::Test::ignored({path}, {reason}) }}");
    [
        tokens("#[cfg(not(windows))]"),
        function,
        tokens(&format!("#[cfg(not(windows))] {run} #[cfg(windows)] {ignore}")),
    ]
    .into_iter()
    .collect()
}

fn tokens(source: &str) -> TokenStream {
    source.parse().expect("the harness writes valid Rust")
}

/// Returns the identifier after `fn`.
fn name_of(function: TokenStream) -> Option<String> {
    let mut tokens = function
        .into_iter()
        .skip_while(|token| !matches!(token, TokenTree::Ident(word) if word.to_string() == "fn"));
    tokens.nth(1).map(|name| name.to_string())
}

fn split_at_commas(list: TokenStream) -> Vec<Vec<TokenTree>> {
    let tokens: Vec<_> = list.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
    tokens.split(is_comma).filter(|part| !part.is_empty()).map(<[_]>::to_vec).collect()
}
