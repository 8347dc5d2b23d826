"""The institution's terminal: nouns and verbs, one sentence for each error, `--json` everywhere.

`main` is the outermost edge. Each noun is a module that adds its verbs with `command.command`; a verb gets a
`Terminal` first, through which it reaches the institution's folder and speaks in the reader's language.
"""
