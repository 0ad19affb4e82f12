"""What every vocabulary here has in common: the special tokens, and the file it is stored in."""

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<cls>", "<sep>", "<mask>")
"""Special tokens of the published tokenizer, ids 0 to 6; the letters follow."""

START_ID, PAD_ID, END_ID, UNKNOWN_ID, _, _, MASK_ID = range(len(SPECIAL_TOKENS))
# Special tokens that stand around each row: <s> and </s>.
N_AROUND = 2
TOKENIZER_FILE = "tokenizer.json"
