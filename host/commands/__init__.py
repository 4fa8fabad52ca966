"""What the commands of ``svpg`` do: one module each, whose ``run(arguments)`` returns a report."""
