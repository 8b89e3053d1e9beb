"""How an app starts, how it answers, and why: `sunup measure`."""
