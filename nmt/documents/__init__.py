"""Documents to translated documents, their form kept: gettext catalogues, subtitles, Markdown, HTML, XLIFF, TMX."""
