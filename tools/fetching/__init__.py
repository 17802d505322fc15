"""What the programs tools/fetch_*.py share: the machine's package archive, and the file of pairs they write."""
