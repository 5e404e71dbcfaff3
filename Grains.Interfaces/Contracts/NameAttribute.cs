using System.ComponentModel.DataAnnotations;

namespace Actors.Calling;

/// <summary>The option obeys <see cref="NameRule"/>.</summary>
internal sealed class NameAttribute(int max) : ValidationAttribute
{
    protected override ValidationResult? IsValid(object? value, ValidationContext validationContext) =>
        NameRule.Broken(value as string, validationContext.MemberName!, max) is { } sentence
            ? new ValidationResult(sentence) : ValidationResult.Success;
}
