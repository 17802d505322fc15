"""The grammar behind recipes/phrasebook: word tables, inflection and sentence templates for German and English."""
