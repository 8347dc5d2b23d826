"""What an institution runs: its folder, tables, plans, and the durable record of its runs.

`home` is the folder of one institution, `plan` the text that parties agree on, `store` what must survive a
power cut, `tables` the owner's data under names, `journal` the bridge to the evidence log.
"""
