"""Operations on clips alone."""
