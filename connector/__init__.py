"""SmilePass Connector: bills memberships, writes every payment to the practice system, explains every cent."""
