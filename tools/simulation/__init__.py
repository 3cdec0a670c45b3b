"""`python -m tools simulate`: the firmware without a board.

bench       N devices, each the real firmware in a process of its own behind a network of its own
device      one of them: its folder, process and console
network     the TCP proxy that drops, blocks and restores it
scenario    steps as Wokwi's automation scenarios have them: parsed, and played on a bench
table, keys what a person sees, and presses
proof       does the database hold exactly what the consoles say was sampled?
place       which broker, which credentials, which database
load, cheap, mqtt   thousands of devices in one process, and what they cost
"""
